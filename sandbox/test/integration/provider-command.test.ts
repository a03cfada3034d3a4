import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";

import { secret, UNKNOWN, type Properties } from "../../offline-engine/providers/values.ts";
import { startPlugin, type Existing, type Plugin, type PluginResource } from "./provider-harness.ts";

const folder = mkdtempSync(path.join(tmpdir(), "provider-command-"));
const file = (name: string): string => path.join(folder, name);
let plugin: Plugin;
let sshd: ChildProcess;
let port: number;
/** The machine may be busy. */
const POLL = { timeout: 30_000 };

async function freePort(): Promise<number> {
    const listener = createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port: free } = listener.address() as AddressInfo;
    await new Promise((resolve) => listener.close(resolve));
    return free;
}

function keyPair(name: string, type = "ed25519"): void {
    execFileSync("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", "", "-f", file(name)]);
}

async function startSshd(name: string, hostKeys: string[]): Promise<{ process: ChildProcess; port: number }> {
    if (userInfo().uid === 0) mkdirSync("/run/sshd", { recursive: true });
    const listen = await freePort();
    const lines = [
        `ListenAddress 127.0.0.1:${listen}`,
        ...hostKeys.map((key) => `HostKey ${file(key)}`),
        `AuthorizedKeysFile ${file("client.pub")}`,
        "PasswordAuthentication no",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
    ];
    writeFileSync(file(`${name}.conf`), lines.join("\n"));
    const child = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", file(`${name}.conf`)], {
        stdio: ["ignore", "ignore", "pipe"],
    });
    await new Promise<void>((resolve, reject) => {
        let seen = "";
        child.stderr.on("data", (chunk: Buffer) => {
            seen += chunk.toString();
            if (seen.includes("Server listening")) resolve();
        });
        child.once("exit", () => {
            reject(new Error(`sshd ended: ${seen}`));
        });
    });
    return { process: child, port: listen };
}

beforeAll(async () => {
    for (const name of ["client", "host", "other"]) keyPair(name);
    keyPair("ecdsa", "ecdsa");
    ({ process: sshd, port } = await startSshd("sshd", ["host", "ecdsa"]));
    plugin = await startPlugin("command", { VISIBLE: "yes" });
});

afterAll(async () => {
    sshd.kill();
    await plugin.stop();
    rmSync(folder, { recursive: true });
});

const remote = (name = "cmd") => plugin.resource("command:remote:Command", name);
const local = (name = "cmd") => plugin.resource("command:local:Command", name);

function connection(changes: Properties = {}): Properties {
    return {
        host: "127.0.0.1",
        port,
        user: userInfo().username,
        privateKey: readFileSync(file("client"), "utf8"),
        hostKey: readFileSync(file("host.pub"), "utf8"),
        dialErrorLimit: 0,
        ...changes,
    };
}

const remoteInputs = (given: Properties, changes: Properties = {}): Properties => ({
    connection: secret(connection(changes)),
    addPreviousOutputInEnv: false,
    ...given,
});

async function make(resource: PluginResource, given: Properties): Promise<Existing> {
    const { inputs, failures } = await resource.check(given);
    expect(failures).toEqual({});
    return resource.create(inputs);
}

describe("remote.Command", () => {
    test("runs the script that it is given on stdin; lines reach the engine while it runs", async () => {
        const stdin = `echo first; echo aside >&2; while [ ! -e ${file("go")} ]; do sleep 0.1; done; echo ünï; exit 0`;
        const running = make(remote("hello"), remoteInputs({ create: "bash -s", stdin }));
        await expect.poll(() => plugin.lines, POLL).toEqual(expect.arrayContaining(["first", "aside"]));
        writeFileSync(file("go"), "");
        const { id, state } = await running;
        expect(id).toMatch(/^hello[0-9a-f]{8}$/);
        expect(state).toMatchObject({ create: "bash -s", stdin, stdout: "first\nünï", stderr: "aside" });
        expect(plugin.lines).toContain("ünï");
    });

    test("the connection is secret in state, stdout is not; a secret input stays one", async () => {
        const { state } = await make(
            remote(),
            remoteInputs({ create: "cat", stdin: secret("hidden"), logging: "none" }),
        );
        const { privateKey = "", ...open } = connection();
        expect(state).toMatchObject({
            connection: secret({ ...open, privateKey: secret(privateKey) }),
            stdin: secret("hidden"),
            stdout: "hidden",
        });
        expect(plugin.lines).not.toContain("hidden");
    });

    test("a failure shows the command, what it wrote and its status, and leaves nothing in state", async () => {
        const create = "echo before; echo 'no such backend' >&2; exit 3";
        const failed = make(remote(), remoteInputs({ create }));
        await expect(failed).rejects.toThrow(
            `Process exited with status 3: running ${JSON.stringify(create)}:\nbefore\nno such backend\n`,
        );
        const error: unknown = await failed.catch((reason: unknown) => reason);
        expect(
            (error as { metadata: { get: (key: string) => unknown[] } }).metadata.get(
                "grpc-status-details-bin",
            ),
        ).toEqual([]);
    });

    test("megabytes in and out, and a line longer than 64 KiB", async () => {
        const stdin = "x".repeat(3_000_000);
        const { state } = await make(remote(), remoteInputs({ create: "cat", stdin }));
        expect(state.stdout).toBe(stdin);
    });

    test("a command that does not read its input ends well", async () => {
        const { state } = await make(
            remote(),
            remoteInputs({ create: "echo done", stdin: "x".repeat(3_000_000) }),
        );
        expect(state.stdout).toBe("done");
    });

    test("update runs `update`, else `create`; delete runs only `delete`", async () => {
        const log = file("ran");
        const run = (word: string): string => `echo ${word} >> ${log}`;
        const existing = await make(remote(), remoteInputs({ create: run("create") }));
        const again = await remote().update(
            existing,
            remoteInputs({ create: run("create"), stdin: "changed" }),
        );
        const updated = await remote().update(
            again,
            remoteInputs({ create: run("create"), update: run("update"), delete: run("delete") }),
        );
        expect(updated.state.stdin).toBeUndefined();
        await remote().delete(existing);
        await remote().delete(updated);
        expect(readFileSync(log, "utf8").split("\n")).toEqual(["create", "create", "update", "delete", ""]);
    });

    test("a preview runs nothing and does not know the output", async () => {
        const { inputs } = await remote().check(remoteInputs({ create: `touch ${file("ran-in-preview")}` }));
        const created = await remote().create(inputs, { preview: true });
        expect(created.state).toMatchObject({ create: inputs.create, stdout: UNKNOWN, stderr: UNKNOWN });
        const old = { id: "x", inputs, state: { ...created.state, stdout: "old", stderr: "" } };
        const updated = await remote().update(old, { ...inputs, stdin: UNKNOWN }, { preview: true });
        expect(updated.state).toMatchObject({ stdin: UNKNOWN, stdout: UNKNOWN });
        expect(existsSync(file("ran-in-preview"))).toBe(false);
    });

    test("triggers replace, all else updates; what is in the connection is not shown", async () => {
        const existing = await make(remote(), remoteInputs({ create: "true", triggers: ["a", 1] }));
        const news = { create: "true # new", triggers: ["b", 1, "c"] };
        expect(await remote().diff(existing, remoteInputs(news, { host: "192.0.2.1" }))).toEqual({
            kinds: {
                create: "UPDATE",
                "triggers[0]": "UPDATE_REPLACE",
                "triggers[2]": "ADD_REPLACE",
                connection: "UPDATE",
            },
            replaces: ["triggers"],
            deleteBeforeReplace: false,
            changed: true,
        });
    });

    test("what the program got wrong is refused before anything runs", async () => {
        const { failures } = await remote().check({ create: "true", logging: "loud", environment: {} });
        expect(Object.keys(failures).sort()).toEqual(["connection", "environment", "logging"]);
        expect(failures.logging).toContain("expected one of stdout, stderr, stdoutAndStderr, none, got loud");
    });
});

describe("a cancelled run", () => {
    test("lets a remote command that runs come to its end, and begins no other", async () => {
        const other = await startPlugin("command");
        onTestFinished(() => other.stop());
        const command = (name: string) => other.resource("command:remote:Command", name);
        const create = `touch ${file("begun")}; while [ ! -e ${file("may-end")} ]; do sleep 0.1; done; echo whole`;
        const running = make(command("long"), remoteInputs({ create }));
        const closed = await freePort();
        const dialling = make(
            command("far"),
            remoteInputs({ create: "true" }, { port: closed, dialErrorLimit: -1 }),
        );
        const given = expect(dialling).rejects.toThrow("cancelled");
        await expect.poll(() => existsSync(file("begun")), POLL).toBe(true);
        await other.cancel();
        await given;
        writeFileSync(file("may-end"), "");
        expect((await running).state.stdout).toBe("whole");
    });
});

describe("the connection", () => {
    test("without a host key any is taken; a pinned one may be of any type the host has", async () => {
        const unpinned = Object.entries(connection()).filter(([name]) => name !== "hostKey");
        const any = { connection: Object.fromEntries(unpinned), create: "echo a" };
        expect((await make(remote(), any)).state.stdout).toBe("a");
        const ecdsa = remoteInputs(
            { create: "echo b" },
            { hostKey: readFileSync(file("ecdsa.pub"), "utf8") },
        );
        expect((await make(remote(), ecdsa)).state.stdout).toBe("b");
    });

    test("another host key is refused, with both fingerprints, and nothing runs", async () => {
        const fingerprint = (name: string): string =>
            execFileSync("ssh-keygen", ["-lf", file(`${name}.pub`)], { encoding: "utf8" }).split(" ")[1] ??
            "";
        const inputs = remoteInputs(
            { create: `touch ${file("wrong-host")}` },
            { hostKey: readFileSync(file("other.pub"), "utf8") },
        );
        await expect(make(remote(), inputs)).rejects.toThrow(
            `expected ssh-ed25519 ${fingerprint("other")}, the host showed ssh-ed25519 ${fingerprint("host")}`,
        );
        expect(existsSync(file("wrong-host"))).toBe(false);
    });

    test("a key that the host does not know is refused", async () => {
        const inputs = remoteInputs({ create: "true" }, { privateKey: readFileSync(file("other"), "utf8") });
        await expect(make(remote(), inputs)).rejects.toThrow(
            /ssh: 127.0.0.1:\d+: .*authentication methods failed/i,
        );
    });

    test("a port that refuses is tried again as often as dialErrorLimit says", async () => {
        const closed = await freePort();
        await expect(
            make(remote(), remoteInputs({ create: "true" }, { port: closed, dialErrorLimit: 3 })),
        ).rejects.toThrow(
            `after 3 failed attempts: dial tcp 127.0.0.1:${closed}: connect: connection refused`,
        );
        const tries = plugin.lines.filter((line) => line.startsWith("Dial ") && line.includes("/3 "));
        expect(tries).toEqual([
            "Dial 1/3 failed: retrying",
            "Dial 2/3 failed: retrying",
            "Dial 3/3 failed: retrying",
        ]);
    });

    test("a host that comes up while it is tried is served", async () => {
        const late = await freePort();
        const running = make(
            remote(),
            remoteInputs({ create: "echo late" }, { port: late, dialErrorLimit: 20 }),
        );
        await expect.poll(() => plugin.lines).toContain("Dial 2/20 failed: retrying");
        const config = readFileSync(file("sshd.conf"), "utf8").replace(
            /ListenAddress .*/,
            `ListenAddress 127.0.0.1:${late}`,
        );
        writeFileSync(file("late.conf"), config);
        const child = spawn("/usr/sbin/sshd", ["-D", "-f", file("late.conf")], { stdio: "ignore" });
        onTestFinished(() => {
            child.kill();
        });
        expect((await running).state.stdout).toBe("late");
    });

    test(
        "a host that takes the connection and says nothing ends in an error",
        { timeout: 40_000 },
        async () => {
            const silent = createServer(() => undefined).listen(0, "127.0.0.1");
            await once(silent, "listening");
            onTestFinished(() => {
                silent.close();
            });
            const { port: mute } = silent.address() as AddressInfo;
            await expect(make(remote(), remoteInputs({ create: "true" }, { port: mute }))).rejects.toThrow(
                /after 0 failed attempts: ssh: 127.0.0.1:\d+: Timed out while waiting for handshake/,
            );
        },
    );

    test("what it does not know is refused before anything is dialled", async () => {
        const inputs = remoteInputs({ create: "true" }, { password: "p", proxy: connection() });
        await expect(make(remote(), inputs)).rejects.toThrow(
            /a connection can have host, .* with the offline engine, got password, proxy/,
        );
    });

    test("a host key that is none is refused at once", async () => {
        const inputs = remoteInputs({ create: "true" }, { hostKey: "nonsense", dialErrorLimit: -1 });
        await expect(make(remote(), inputs)).rejects.toThrow("failed to parse host key");
    });
});

describe("local.Command", () => {
    test("has no defaults in its inputs: the official plugin refuses what it does not know", async () => {
        const { inputs } = await local().check({ create: "true" });
        expect(inputs).toEqual({ create: "true" });
    });

    test("runs in a folder, with variables, input and the environment of the engine", async () => {
        const { state } = await make(local("here"), {
            create: 'echo "$PWD $VISIBLE $EXTRA $(cat)"; echo aside >&2',
            dir: folder,
            environment: { EXTRA: secret("extra") },
            stdin: "input",
        });
        expect(state).toMatchObject({ stdout: `${folder} yes extra input`, stderr: "aside", dir: folder });
        expect(state.environment).toEqual({ EXTRA: secret("extra") });
        expect(plugin.lines).toContain("aside");
    });

    test("an interpreter of one's own, and the output of the run before", async () => {
        const first = await make(local(), { create: "echo one" });
        const updated = await local().update(first, {
            create: "process.stdout.write(process.env.PULUMI_COMMAND_STDOUT + ' two')",
            interpreter: [process.execPath, "-e"],
        });
        expect(updated.state.stdout).toBe("one two");
    });

    test.each([
        ["a status", { create: "echo said; exit 4" }, 'exit status 4: running "echo said; exit 4":\nsaid\n'],
        ["a signal", { create: "kill -9 $$" }, 'signal: SIGKILL: running "kill -9 $$":\n'],
        ["a missing folder", { create: "true", dir: "/no/such/folder" }, "/no/such/folder"],
        ["a missing interpreter", { create: "true", interpreter: ["no-such-shell"] }, "no-such-shell"],
    ])("%s is an error", async (_what, given, message) => {
        await expect(make(local(), given)).rejects.toThrow(message);
    });

    test("no command, nothing to run", async () => {
        const { state } = await make(local(), {});
        expect(state).toEqual({ stdout: "", stderr: "" });
    });

    test("a cancelled run ends its commands", async () => {
        const other = await startPlugin("command");
        onTestFinished(() => other.stop());
        const command = other.resource("command:local:Command", "long");
        const running = command.create({ create: `echo $$ > ${file("pid")}; exec sleep 600` });
        const ended = expect(running).rejects.toThrow();
        await expect.poll(() => existsSync(file("pid")), POLL).toBe(true);
        await other.cancel();
        await ended;
        expect(existsSync(`/proc/${readFileSync(file("pid"), "utf8").trim()}`)).toBe(false);
    });
});
