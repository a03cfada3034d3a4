import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";

import { Command, InvalidArgumentError, Option } from "commander";
import lockfile from "proper-lockfile";

import { loopbackMachines } from "./api/loopback.ts";
import { endlessBudget, realBudget } from "./api/rate-limit.ts";
import { createApi } from "./api/server.ts";
import { openStore } from "./api/store.ts";
import { ownerFile, ownerOf } from "./claim-index.ts";
import { instance as makeInstance, type Instance } from "./instance.ts";
import type { Machines } from "./machines.ts";
import { isAlive } from "./process.ts";

// The process of one sandbox: `tsx sandbox/main.ts --help`.

interface Options {
    name: string;
    index: number;
    stateDir: string;
    kind: Instance["kind"];
    port: number;
    dropletLimit: number;
    rateLimit: boolean;
    purge: boolean;
}

/** A user's mistake, or the machine's state: shown as one line. */
class Refusal extends Error {}

const host = "127.0.0.1";

const command = new Command()
    .name("sandbox")
    .description("A DigitalOcean on this machine: the API v2, and droplets that boot.")
    .option("--name <name>", "what people call it", "dev")
    .option(
        "--index <number>",
        "0-255; decides addresses and the prefix of all that is made on the host",
        whole(0, 255),
        0,
    )
    .requiredOption("--state-dir <folder>", "what has to survive a restart: API state, token, disks")
    .addOption(
        new Option("--kind <kind>", "nspawn: droplets boot (root on Linux); loopback: API states only")
            .choices(["nspawn", "loopback"])
            .default("nspawn"),
    )
    .option("--port <number>", `port of the API on ${host}; 0 takes a free one`, whole(0, 65535), 8080)
    .option("--droplet-limit <number>", "droplets the account may have at one time", whole(0, 10_000), 25)
    .option("--no-rate-limit", "answer a token however often it asks")
    .option("--purge", "remove everything that this sandbox made, and exit", false);

function whole(least: number, most: number): (text: string) => number {
    return (text) => {
        const number = Number(text);
        if (text.trim() === "" || !Number.isInteger(number) || number < least || number > most) {
            throw new InvalidArgumentError(`It should be a whole number from ${least} to ${most}.`);
        }
        return number;
    };
}

async function main(options: Options): Promise<void> {
    const instance = makeInstance(options);
    // Makes the state folder, which the lock lies in.
    const store = openStore(instance.stateDir);
    const unlock = await lock(instance.stateDir);
    if (instance.kind === "nspawn") takeIndex(instance, options.purge);
    const machines = await machinesFor(instance);
    if (options.purge) {
        await machines.purge();
        await unlock();
        for (const entry of readdirSync(instance.stateDir)) {
            rmSync(path.join(instance.stateDir, entry), { recursive: true, force: true });
        }
        log(`sandbox ${instance.name} is gone: machines, network and ${instance.stateDir}`);
        return;
    }
    await refuseTakenPort(options.port);
    const budget = options.rateLimit ? realBudget : endlessBudget;
    const api = createApi({
        ...options,
        budget,
        instance,
        machines,
        store,
        token: token(instance.stateDir),
        log,
    });
    const ready = path.join(instance.stateDir, "sandbox.json");
    // What a killed process left says nothing true any more.
    rmSync(ready, { force: true });
    let listening = false;
    const stop = async (signal: string) => {
        log(`${signal}: the API stops, machines stay as they are`);
        rmSync(ready, { force: true });
        // Building the base image takes minutes: it is cut off, as by a crash, and the next start makes it good.
        if (listening) {
            await api.close();
            await machines.detach();
        }
        await unlock();
        process.exit(0);
    };
    for (const signal of ["SIGTERM", "SIGINT"]) {
        process.once(signal, () => void stop(signal));
    }
    const address = new URL(await api.listen({ host, port: options.port }));
    listening = true;
    const port = Number(address.port);
    const { name, index, kind } = instance;
    const startedAt = new Date().toISOString();
    writeFileSync(ready, JSON.stringify({ pid: process.pid, port, kind, index, name, startedAt }));
    log(`sandbox ${name} (${kind}) is ready: http://${host}:${port}`);
}

function log(line: string): void {
    console.log(`${new Date().toISOString()} ${line}`);
}

/** Machines that boot are loaded only when they are wanted: without root or Linux the API works by itself. */
async function machinesFor(instance: Instance): Promise<Machines> {
    if (instance.kind === "loopback") return loopbackMachines();
    const { createMachines } = await import("./droplets/machines.ts");
    return createMachines(instance, log);
}

/** The bearer token: made once, then kept, so that a client's environment outlives a restart. */
function token(stateDir: string): string {
    const file = path.join(stateDir, "token");
    try {
        return readFileSync(file, "utf8").trim();
    } catch {
        const made = `dop_v1_${randomBytes(32).toString("hex")}`;
        writeFileSync(file, `${made}\n`, { mode: 0o600, flag: "wx" });
        return made;
    }
}

/**
 * One process a state folder. A lock is stale ten seconds after its process died: that is waited for if the pid
 * that it was taken by is gone.
 */
async function lock(stateDir: string): Promise<() => Promise<void>> {
    const pidFile = path.join(stateDir, "pid");
    const take = (retries: number) =>
        lockfile.lock(stateDir, {
            lockfilePath: path.join(stateDir, "lock"),
            retries: { retries, factor: 1, minTimeout: 1000 },
            // A machine too busy to renew it in time is no reason to end.
            onCompromised: (error) => {
                log(`the lock on ${stateDir} was lost: ${error.message}`);
            },
        });
    let release: () => Promise<void>;
    try {
        release = await take(0);
    } catch {
        const pid = Number(readFileSync(pidFile, { encoding: "utf8", flag: "a+" }));
        if (isAlive(pid)) {
            throw new Refusal(
                `${stateDir} is in use by the sandbox with pid ${pid}: stop that one first (kill ${pid})`,
            );
        }
        log("the last sandbox did not end in order: waiting until its lock is stale");
        release = await take(15);
    }
    writeFileSync(pidFile, String(process.pid));
    return release;
}

/**
 * Machines live on without a process, and everything of an index that its sandbox does not know is removed at start:
 * two state folders must not share one.
 */
function takeIndex({ index, stateDir }: Instance, purge: boolean): void {
    const file = ownerFile(index);
    const owner = ownerOf(index);
    if (owner !== undefined && owner !== stateDir) {
        throw new Refusal(
            `index ${index} belongs to the sandbox in ${owner}, whose droplets may still run: remove that one first ` +
                "(`make down` in its checkout)",
        );
    }
    mkdirSync(path.dirname(file), { recursive: true });
    if (purge) rmSync(file, { force: true });
    else writeFileSync(file, stateDir);
}

/** Before any machine is touched. */
function refuseTakenPort(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
        const probe = createServer();
        probe.once("error", (error: NodeJS.ErrnoException) => {
            const why = error.code === "EADDRINUSE" ? "is in use" : `can't be used (${error.message})`;
            reject(new Refusal(`port ${port} on ${host} ${why}: stop what listens there`));
        });
        probe.listen(port, host, () =>
            probe.close(() => {
                resolve();
            }),
        );
    });
}

main(command.parse().opts<Options>()).catch((error: unknown) => {
    console.error(`sandbox: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
});
