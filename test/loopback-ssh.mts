import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo } from "node:net";
import * as path from "node:path";
import ssh2 from "ssh2";
import { makeWorld, type World } from "./world.mts";

/**
 * A `loopback` world whose `pulumi up` ends well: the load balancer of its copy of the program is reached at an SSH
 * server of the test's own, where every command succeeds and nothing is done. So a state is as after a real `up`, in
 * a tenth of the time; what HAProxy would do is not shown by it.
 */
export async function makeDeployableWorld(config: Record<string, unknown> = {}): Promise<World> {
    const server = new ssh2.Server(
        { hostKeys: [ssh2.utils.generateKeyPairSync("ed25519").private] },
        (client) => {
            client.on("error", () => undefined);
            client.on("authentication", (context) => {
                context.accept();
            });
            client.on("session", (accept) => {
                accept().on("exec", (acceptExec) => {
                    const channel = acceptExec();
                    channel.resume();
                    channel.once("end", () => {
                        channel.exit(0);
                        channel.end();
                    });
                });
            });
        },
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const stop = () =>
        new Promise<void>((resolve) =>
            server.close(() => {
                resolve();
            }),
        );
    try {
        const world = await makeWorld("loopback", config);
        const file = path.join(world.folder, "components/load-balancer.ts");
        const text = readFileSync(file, "utf8");
        const there = text
            .replace(
                "reachableFrom(args.adminCidrs, address)",
                'reachableFrom(args.adminCidrs, address).then(() => "127.0.0.1")',
            )
            .replace("hostKey: args.host.publicKey,", `port: ${port},`);
        if (there.length === text.length)
            throw new Error(`${file} no longer says how the load balancer is reached`);
        writeFileSync(file, there);
        return {
            ...world,
            close: async () => {
                await world.close();
                await stop();
            },
        };
    } catch (error) {
        await stop();
        throw error;
    }
}
