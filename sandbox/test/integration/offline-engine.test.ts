import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa, type ResultPromise } from "execa";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findEngine, type Engine } from "../../offline-engine/engine.ts";

/** Programs of a few lines, run by the real CLI through the language host. The first run builds the CLI: minutes. */
let home: string;
let engine: Engine;
let project: string;

beforeAll(async () => {
    home = fs.mkdtempSync(path.join(os.tmpdir(), "offline-engine-"));
    // Whatever `pulumi` this machine has: the first one on PATH is too old, so that the offline engine is used.
    const old = path.join(home, "old");
    fs.mkdirSync(old);
    fs.writeFileSync(path.join(old, "pulumi"), "#!/bin/sh\necho v3.0.0\n", { mode: 0o755 });
    const env = { ...process.env, PATH: [old, process.env.PATH].join(path.delimiter) };
    engine = await findEngine({ home, log: console.log, env });
}, 1_200_000);
afterAll(() => {
    fs.rmSync(home, { recursive: true });
});

beforeEach(async () => {
    project = fs.mkdtempSync(path.join(os.tmpdir(), "tiny-"));
    fs.mkdirSync(path.join(project, "state"));
    fs.symlinkSync(path.resolve("node_modules"), path.join(project, "node_modules"));
    const tsconfig = { target: "es2022", module: "nodenext", strict: true, noCheck: true };
    write("package.json", JSON.stringify({ name: "tiny", main: "index.ts" }));
    write("tsconfig.run.json", JSON.stringify({ compilerOptions: tsconfig }));
    write("Pulumi.yaml", "name: tiny\nruntime: {name: nodejs, options: {tsconfig: tsconfig.run.json}}\n");
    await ok("stack", "init", "dev");
});
afterEach(() => {
    fs.rmSync(project, { recursive: true });
});

const write = (file: string, text: string) => {
    fs.writeFileSync(path.join(project, file), text);
};
const program = (text: string) => {
    write("index.ts", `import * as pulumi from "@pulumi/pulumi";\n${text}`);
};
function pulumi(...args: string[]): ResultPromise<{ all: true; reject: false }> {
    const env = {
        ...engine.env,
        PULUMI_BACKEND_URL: `file://${project}/state`,
        PULUMI_CONFIG_PASSPHRASE: "test",
    };
    return execa("pulumi", [...args, "--non-interactive"], { cwd: project, env, all: true, reject: false });
}
async function ok(...args: string[]): Promise<string> {
    const { exitCode, all } = await pulumi(...args);
    expect(exitCode, all).toBe(0);
    return all;
}
async function fails(...args: string[]): Promise<string> {
    const { exitCode, all } = await pulumi(...args);
    expect(exitCode, all).not.toBe(0);
    return all;
}

const POOL = `
const config = new pulumi.Config();
class Pool extends pulumi.ComponentResource {
    readonly size: pulumi.Output<number>;
    constructor(name: string, inputs: { replicas: number }) {
        super("tiny:index:Pool", name, inputs);
        this.size = pulumi.output(inputs.replicas);
        this.registerOutputs({ size: this.size });
    }
}
console.log("a line on stdout");
console.error("a line on stderr");
const pool = new Pool("pool", { replicas: config.requireNumber("replicas") });
export const size = pool.size;
export const password = config.requireSecret("password");
export const isDryRun = pulumi.runtime.isDryRun();
export const where = { stack: pulumi.getStack(), project: pulumi.getProject(), cwd: process.cwd() };
`;

describe("a program", () => {
    it("is previewed, run, and run again without a change; config and secrets reach it", async () => {
        program(POOL);
        await ok("config", "set", "replicas", "3");
        await ok("config", "set", "--secret", "password", "hunter2");

        const preview = await ok("preview");
        expect(preview).toMatch(/\+ +tiny:index:Pool +pool +create/);
        expect(preview).toContain("a line on stdout");
        expect(preview).toContain("a line on stderr");
        expect(preview).toMatch(/password: \[secret\]/);
        expect(preview).toMatch(/isDryRun: true/);
        expect(preview).not.toContain("warning");
        expect(preview).toContain("2 to create");

        expect(await ok("up", "--yes", "--skip-preview")).toContain("2 created");
        expect(await ok("up", "--yes", "--skip-preview", "--expect-no-changes")).toContain("2 unchanged");
        const outputs: unknown = JSON.parse(await ok("stack", "output", "--json", "--show-secrets"));
        const where = { stack: "dev", project: "tiny", cwd: fs.realpathSync(project) };
        expect(outputs).toEqual({ size: 3, password: "hunter2", isDryRun: false, where });
        expect(await ok("stack", "export")).not.toContain("hunter2");

        await ok("config", "set", "replicas", "5");
        expect(await ok("preview", "--diff")).toMatch(/replicas: 3 => 5/);
        expect(await ok("destroy", "--yes", "--skip-preview")).toContain("2 deleted");
    });

    it("with a local.Command is served by our own plugin", async () => {
        program(`import * as command from "@pulumi/command";
            const greeting = new command.local.Command("greeting", { create: "cat", stdin: "good morning" });
            export const said = greeting.stdout;`);
        expect(await ok("preview")).toMatch(/\+ +command:local:Command +greeting +create/);
        expect(await ok("up", "--yes", "--skip-preview")).toContain("2 created");
        expect(await ok("stack", "output", "said")).toContain("good morning");
        expect(await ok("preview", "--expect-no-changes")).toContain("2 unchanged");
    });

    it("is described by `pulumi about`", async () => {
        program("");
        const about = await ok("about");
        expect(about).toContain(`executable='${process.execPath}' version='${process.version}'`);
        expect(about).toMatch(/language +nodejs/);
    });
});

describe("an error", () => {
    it("that the program throws is shown with its place, and nothing hangs", async () => {
        program('throw new Error("no such pool");');
        const output = await fails("preview");
        expect(output).toContain("Error: no such pool");
        expect(output).toMatch(/index\.ts:2:\d+/);
    });

    it("that the program means for the user is shown without a stack", async () => {
        program('throw new pulumi.RunError("replicas should be 0-1000, got 5000");');
        const output = await fails("preview");
        expect(output).toContain("error: replicas should be 0-1000, got 5000");
        expect(output).not.toMatch(/^\s+at /m);
        expect(output).not.toContain("exited");
    });

    it("is an exit code of the program's own", async () => {
        program("process.exit(3);");
        expect(await fails("preview")).toContain("the program exited with code 3");
    });

    it("is a signal", async () => {
        program('process.kill(process.pid, "SIGKILL");');
        expect(await fails("preview")).toContain("the program was ended by SIGKILL");
    });

    it("is a missing SDK, or a wrong option", async () => {
        program("");
        write("Pulumi.yaml", "name: tiny\nruntime: {name: nodejs, options: {tsconfig: 5}}\n");
        expect(await fails("preview")).toContain(
            "runtime.options.tsconfig in Pulumi.yaml should be a string, got 5",
        );
        fs.rmSync(path.join(project, "node_modules"));
        write("Pulumi.yaml", "name: tiny\nruntime: nodejs\n");
        expect(await fails("preview")).toContain(
            `the Pulumi SDK is not installed in ${project}: run \`npm ci\` there`,
        );
    });

    it("does not end what the program left running: the answer comes, and the rest goes with the engine", async () => {
        program(`import { spawn } from "node:child_process";
            const { pid } = spawn("sleep", ["600"], { stdio: "inherit" });
            console.log("left " + pid);
            process.exitCode = 4;
            process.nextTick(() => process.exit());`);
        const output = await fails("preview");
        expect(output).toContain("the program exited with code 4");
        await allGone([Number(/left (\d+)/.exec(output)?.[1])]);
    });
});

describe("when it is stopped", () => {
    const WAITS = `import { spawn } from "node:child_process";
        process.on("SIGINT", () => { if (process.env.STUBBORN === undefined) process.exit(1); });
        spawn("sleep", ["600"], { stdio: "inherit" });
        console.log("waiting");
        setInterval(() => undefined, 1000);`;

    async function started(): Promise<{ up: ReturnType<typeof pulumi>; pids: number[] }> {
        const up = pulumi("up", "--yes", "--skip-preview");
        let output = "";
        await new Promise<void>((resolve) => {
            up.all.on("data", (data) => {
                output += String(data);
                if (output.includes("waiting")) resolve();
            });
        });
        const pids = await descendants(up.pid ?? 0);
        expect(pids.length).toBeGreaterThanOrEqual(3); // The host, the program, and what it started.
        return { up, pids };
    }
    it("by Ctrl-C, the update ends, is unlocked, and leaves no process", async () => {
        program(WAITS);
        const { up, pids } = await started();
        up.kill("SIGINT");
        expect((await up).exitCode).not.toBe(0);
        await allGone(pids);
        program("");
        await ok("up", "--yes", "--skip-preview");
    });

    it("by Ctrl-C, a program that does not listen is killed", async () => {
        program(`process.env.STUBBORN = "";\n${WAITS}`);
        const { up, pids } = await started();
        up.kill("SIGINT");
        expect((await up).exitCode).not.toBe(0);
        await allGone(pids);
    });

    it("by SIGKILL of the engine, no process stays", async () => {
        program(`process.env.STUBBORN = "";\n${WAITS}`);
        const { up, pids } = await started();
        up.kill("SIGKILL");
        await allGone(pids);
        await up;
    });
});

async function descendants(pid: number): Promise<number[]> {
    const { stdout } = await execa("ps", ["-A", "-o", "pid=,ppid="]);
    const rows = stdout.split("\n").map((line) => line.trim().split(/\s+/).map(Number));
    const below = (parent: number): number[] =>
        rows.flatMap(([child = 0, of]) => (of === parent ? [child, ...below(child)] : []));
    return below(pid);
}

async function allGone(pids: number[]): Promise<void> {
    for (let wait = 0; wait < 50 && pids.some(isAlive); wait++) await delay(100);
    expect(pids.filter(isAlive)).toEqual([]);
}

function isAlive(pid: number): boolean {
    try {
        process.kill(pid, 0);
        return true;
    } catch {
        return false;
    }
}
