// Loaded by --require: SSH to whatever host leads to the server of test/loopback-ssh.mts.
const process = require("node:process");
const { Client } = require("ssh2");

const { connect } = Client.prototype;
Client.prototype.connect = function (options) {
    const { username, privateKey, readyTimeout } = options;
    const port = Number(process.env.DROPSCALE_TEST_SSH_PORT);
    return connect.call(this, { host: "127.0.0.1", port, username, privateKey, readyTimeout });
};
