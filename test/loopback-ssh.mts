import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo } from "node:net";
import * as path from "node:path";
import ssh2 from "ssh2";
import { makeWorld, type World } from "./world.mts";

/** A `loopback` world whose `pulumi up` ends well. */
export interface DeployableWorld extends World {
    /** How commands on the load balancer end from now on. */
    ssh: { exitCode: number };
}

/**
 * The load balancer of its copy of the program is reached at an SSH server of the test's own, where every command ends as
 * the test says, and nothing is done. So a state is as after a real `up`, without machines; what HAProxy would do is
 * not shown by it.
 */
export async function makeDeployableWorld(config: Record<string, unknown> = {}): Promise<DeployableWorld> {
    const ssh = { exitCode: 0 };
    const server = serve(ssh);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const stop = async () => {
        server.close();
        await once(server, "close");
    };
    try {
        const world = await makeWorld("loopback", config);
        lead(path.join(world.folder, "components/load-balancer.ts"), (server.address() as AddressInfo).port);
        const close = async () => {
            await world.close();
            await stop();
        };
        return { ...world, ssh, close };
    } catch (error) {
        await stop();
        throw error;
    }
}

function serve(ssh: DeployableWorld["ssh"]): ssh2.Server {
    const hostKeys = [ssh2.utils.generateKeyPairSync("ed25519").private];
    return new ssh2.Server({ hostKeys }, (client) => {
        client.on("error", () => undefined);
        client.on("authentication", (context) => {
            context.accept();
        });
        client.on("session", (accept) => {
            accept().on("exec", (acceptExec, _reject, { command }) => {
                const channel = acceptExec();
                channel.resume();
                channel.once("end", () => {
                    // What stages a text prints a word, another one each time.
                    if (/ stage( |$)/.test(command)) channel.write(`${randomUUID()}\n`);
                    channel.exit(ssh.exitCode);
                    channel.end();
                });
            });
        });
    });
}

/** Changes where the copy of the program finds the load balancer; as unknown in a preview as it was. */
function lead(file: string, port: number): void {
    const text = readFileSync(file, "utf8");
    const connection = /this\.connection = pulumi\.secret\(\{[^]*?\n {8}\}\);/;
    if (!connection.test(text)) throw new Error(`${file} no longer says how the load balancer is reached`);
    const there = `this.connection = pulumi.secret({
            host: droplet.id.apply(() => "127.0.0.1"),
            port: ${port},
            user: "root",
            privateKey: args.deploy.privateKey,
        });`;
    writeFileSync(file, text.replace(connection, there));
}
