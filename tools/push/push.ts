import { spawn } from "node:child_process";
import * as path from "node:path";
import type { Writable } from "node:stream";
import { haproxyScript, pushCommand } from "../../components/haproxy/apply";
import { kibOf } from "../../components/content/send";
import { Mistakes } from "../../lib/config-rules";
import { packCommand, readRelease, type Release, releaseForm } from "../../lib/release";
import { stopOn } from "../cli/terminal";
import { count, timeSince } from "../cli/words";
import { runOverSsh, type SshOptions, type SshTarget } from "../live/ssh";
import { readOutputs, readPulumi } from "../pulumi/run";
import { StackConfig } from "../pulumi/stack-config";

interface PushOptions {
    /** @default the one that is selected */
    stack?: string;
    /** Go back: `true` to the release before, or to the one of this name. */
    rollback?: string | true;
}

/** How often it says how much it has sent, in milliseconds. */
const progressMs = 5000;

/**
 * Brings a folder to every server of a stack, over its load balancer, a few at a time; or goes back to a release that is
 * still there. It may be interrupted at any moment, and run again.
 *
 * @param folder Relative to where npm was called.
 * @throws Error with all that is wrong with the folder, before anything is sent; or with what stopped it, and which server
 * serves what.
 */
export async function push(folder: string | undefined, options: PushOptions): Promise<void> {
    const { rollback } = options;
    if ((folder === undefined) === (rollback === undefined))
        throw new Error("give a folder, or --rollback: npm run push -- DIR [--stack STACK]");
    if (typeof rollback === "string" && !releaseForm.test(rollback))
        throw new Error(`--rollback takes the name of a release, 16 hexadecimal digits, got ${rollback}`);
    const release = folder === undefined ? undefined : readFolder(folder);
    const stack = options.stack ?? (await readPulumi("stack", "--show-name")).trim();
    const { loadBalancerIp: host, deployKey: privateKey, hostKey } = await readOutputs(stack);
    const stop = stopOn("SIGINT", "SIGTERM");
    const there = onHost({ host, privateKey, hostKey }, stop.signal);
    const started = Date.now();
    try {
        await there(haproxyScript.install("push"), { onStart: (stdin) => stdin.end(haproxyScript.text) });
        const command = release
            ? pushCommand(await send(release, there))
            : `${haproxyScript.path} rollback ${rollback === true ? "" : (rollback ?? "")}`;
        await there(command, { onOutput: (text) => process.stdout.write(text) });
    } catch (error) {
        if (!stop.signal.aborted) throw error;
        throw new Error(
            "interrupted: the servers that were switched already keep the new release, the others the old one. Run it " +
                `again and it goes on from there; \`make status STACK=${stack}\` tells which server serves what`,
            { cause: error },
        );
    }
    console.log(`done in ${timeSince(started)}`);
    remind(stack, release);
}

/** npm runs this in the project's folder; the folder is relative to where somebody called it. */
function readFolder(folder: string): Release {
    try {
        return readRelease(path.resolve(process.env.INIT_CWD ?? "", folder));
    } catch (error) {
        if (error instanceof Mistakes)
            throw new Error([...error.problems, "nothing was sent"].join("\n"), { cause: error });
        throw error;
    }
}

type There = (command: string, options?: SshOptions) => Promise<string>;

/** What the script says of its own failure is for people; by which command is not. */
function onHost(target: SshTarget, signal: AbortSignal): There {
    return (command, options = {}) =>
        runOverSsh(command, target, { ...options, signal }).catch((error: unknown) => {
            const [, words] = /` ended with \d+: ([^]+)$/.exec((error as Error).message) ?? [];
            throw words === undefined ? error : new Error(words, { cause: error });
        });
}

/** Sends a release unless the load balancer has it. @returns Its word for {@link pushCommand}. */
async function send({ folder, name, files, bytes }: Release, there: There): Promise<string> {
    const what = `release ${name}: ${count(files, "file")}, ${mebibytes(bytes)}`;
    const answer = await there(`${haproxyScript.path} check ${name} ${kibOf(bytes)} ${files}`);
    const take = `${haproxyScript.path} take ${name}`;
    if (answer.trim() === "have") {
        console.log(`${what}, which is on the load balancer already`);
        return there(take);
    }
    console.log(`${what}; sending it`);
    return there(take, {
        onStart: (stdin) => {
            pack(folder, stdin);
        },
    });
}

/** Writes the folder into the command's stdin, and says now and then how much. */
function pack(folder: string, stdin: Writable): void {
    const tar = spawn("bash", ["-c", packCommand], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    let sent = 0;
    const told = setInterval(() => {
        console.log(`  ${mebibytes(sent)} sent, compressed`);
    }, progressMs);
    told.unref();
    tar.stdout.on("data", (data: Buffer) => (sent += data.length));
    tar.once("close", () => {
        clearInterval(told);
    });
    // A refusal closes it before all is sent; the refusal is what is said then.
    stdin.on("error", () => tar.kill());
    tar.stdout.pipe(stdin);
}

const mebibytes = (bytes: number): string =>
    bytes < 1024
        ? count(bytes, "byte")
        : bytes < 2 ** 20
          ? `${(bytes / 1024).toFixed(1)} KiB`
          : `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Whoever looks at the config is to know what is served. */
function remind(stack: string, release: Release | undefined): void {
    const content = new StackConfig(stack).read("content");
    if (typeof content !== "string" || content === "") return;
    if (path.resolve(content) !== release?.folder)
        console.log(
            `the config of ${stack} says content: ${content}: the next \`pulumi up\` that finds that folder changed, ` +
                "or makes another load balancer, pushes it again",
        );
}
