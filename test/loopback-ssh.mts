import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo } from "node:net";
import * as path from "node:path";
import ssh2 from "ssh2";
import { generationIn } from "../components/haproxy/render.ts";
import { askReleases } from "../tools/live/releases.ts";
import { makeWorld, type World } from "./world.mts";

/** A `loopback` world whose `pulumi up` ends well. */
export interface DeployableWorld extends World {
    ssh: FakeLoadBalancer;
}

/** What stands in for the load balancer's host: it keeps what is staged, and says that it runs what was applied. */
export interface FakeLoadBalancer {
    /** How commands that apply haproxy.cfg, or wait for cloud-init, end from now on. */
    exitCode: number;
    /** Its own addresses. */
    host: string[];
    /** haproxy.cfg on its disk; empty: nothing was applied. */
    text: string;
    /** What HAProxy runs; `undefined`: none of ours. */
    generation: string | undefined;
    /** Its answer to whoever looks at HAProxy. @default as an HAProxy that runs {@link text} */
    look: (() => string | Error) | undefined;
}

/**
 * The load balancer of its copy of the program is reached at an SSH server of the test's own, where every command ends as
 * the test says. So a state is as after a real `up`, without machines; what HAProxy would do with its servers is not
 * shown by it. `tool` leads our own commands there, too.
 */
export async function makeDeployableWorld(
    config: Record<string, unknown> = {},
    options: Parameters<typeof makeWorld>[2] = {},
): Promise<DeployableWorld> {
    const ssh: FakeLoadBalancer = { exitCode: 0, host: [], text: "", generation: undefined, look: undefined };
    const server = serve(ssh);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const stop = async () => {
        server.close();
        await once(server, "close");
    };
    try {
        const world = await makeWorld("loopback", config, options);
        lead(path.join(world.folder, "components/load-balancer.ts"), port);
        const close = async () => {
            await world.close();
            await stop();
        };
        const led = {
            NODE_OPTIONS: `--require ${path.join(import.meta.dirname, "lead-ssh.cjs")}`,
            DROPSCALE_TEST_SSH_PORT: String(port),
        };
        const tool: World["tool"] = (name, args, more) => world.tool(name, args, { ...led, ...more });
        return { ...world, tool, ssh, close };
    } catch (error) {
        await stop();
        throw error;
    }
}

function serve(ssh: FakeLoadBalancer): ssh2.Server {
    const hostKeys = [ssh2.utils.generateKeyPairSync("ed25519").private];
    const staged = { text: "", words: 0 };
    return new ssh2.Server({ hostKeys }, (client) => {
        client.on("error", () => undefined);
        client.on("authentication", (context) => {
            context.accept();
        });
        client.on("session", (accept) => {
            accept().on("exec", (acceptExec, _reject, { command }) => {
                const channel = acceptExec();
                let stdin = "";
                channel.on("data", (data: Buffer) => (stdin += data.toString()));
                const end = (code: number, printed = "") => {
                    channel.write(printed);
                    channel.exit(code);
                    channel.end();
                };
                const answer = asked(ssh, command);
                if (answer !== undefined) {
                    end(answer instanceof Error ? 1 : 0, answer instanceof Error ? "" : answer);
                    // It sends nothing, and so never ends its side.
                    channel.close();
                    return;
                }
                channel.once("end", () => {
                    if (/ stage( |$)/.test(command)) {
                        staged.text = stdin;
                        end(0, `${++staged.words}-0123abcd\n`);
                        return;
                    }
                    if (ssh.exitCode === 0 && command.includes(" apply ")) {
                        ssh.text = staged.text;
                        ssh.generation = generationIn(staged.text);
                    }
                    end(ssh.exitCode);
                });
            });
        });
    });
}

/** The answer to a question of our own commands; `undefined` for what the engine runs. */
function asked(ssh: FakeLoadBalancer, command: string): string | Error | undefined {
    if (command.includes("haproxy-master.sock")) return ssh.look?.() ?? haproxyAnswers(ssh);
    // Nothing was ever pushed.
    if (command === askReleases) return "end\n";
    // What waits to be installed: nothing.
    return command.includes("apt list") ? "lists 0\n" : undefined;
}

/** What tools/live/haproxy.ts asks for. */
export function haproxyAnswers({ host, text, generation }: FakeLoadBalancer): string {
    const servers = [...text.matchAll(/^ {4}server (\S+) (\S+) /gm)].map(
        ([, name, address]) => `pool,${name},UP,L7OK,${address},\n`,
    );
    const parts = {
        host: `${host.join(" ")} \n`,
        text,
        info: generation === undefined ? "" : `Pid: 1\ndescription: gen=${generation}\n`,
        servers: `# pxname,svname,status,check_status,addr,\n${servers.join("")}\n`,
        draining: "",
        applying: "",
        heartbeat: "",
        end: "",
    };
    return Object.entries(parts)
        .map(([name, part]) => `\n-- dropscale: ${name}\n${part}`)
        .join("");
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
            privateKey: keys.deploy.privateKey,
        });`;
    writeFileSync(file, text.replace(connection, there));
}
