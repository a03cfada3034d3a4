// Runs inside the router's namespace: `nsenter --net=… node listen.js ADDRESS MIRROR_PORT`. Binds the sockets, hands them
// to the parent over Node's IPC, and exits; were it to stay, it would take half of the connections. When it can't,
// it sends the error's code instead.
// https://nodejs.org/docs/latest-v20.x/api/child_process.html#subprocesssendmessage-sendhandle-options-callback
// JavaScript, because it has to start without a loader.
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import process from "node:process";
import { promisify } from "node:util";

const [address, mirrorPort] = process.argv.slice(2);
const send = promisify(process.send.bind(process));

try {
    const http = net.createServer().listen(80, address);
    await once(http, "listening");
    const mirror = net.createServer().listen(Number(mirrorPort), address);
    await once(mirror, "listening");
    const dns = dgram.createSocket("udp4").bind(53, address);
    await once(dns, "listening");
    const dnsStream = net.createServer().listen(53, address);
    await once(dnsStream, "listening");
    await send("http", http);
    await send("mirror", mirror);
    await send("dns", dns);
    await send("dnsStream", dnsStream);
    await once(process, "disconnect");
} catch (error) {
    await send(error.code ?? error.message);
}
process.exit();
