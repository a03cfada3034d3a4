import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pb, { type ProgramInfo, type RunRequest, type RunResponse } from "@pulumi/pulumi/proto/language_pb.js";
import { messageOf } from "./plugin.ts";

/** The SDK's exit code for "the user has been told already": cmd/run/index.js of @pulumi/pulumi. */
const ALREADY_REPORTED = 32;
/** How long a program may take to end after SIGINT, and its output to end after it: what the engine gives plugins. */
const GRACE_MS = 5_000;

/** Runs a Pulumi program with Node.js. A wrong option, a missing SDK or a failed program is an error in the answer. */
export async function runProgram(request: RunRequest, engineAddress: string, cancelled: AbortSignal) {
    const response: RunResponse = new pb.RunResponse();
    try {
        const code = await exitCode(start(request, engineAddress), cancelled);
        if (code === ALREADY_REPORTED) response.setBail(true);
        else if (code !== 0) response.setError(ended(code));
    } catch (error) {
        response.setError(messageOf(error));
    }
    return response;
}

function start(request: RunRequest, engineAddress: string): ChildProcess {
    const info = request.getInfo();
    const directory = info?.getProgramDirectory() ?? request.getPwd();
    const tsconfig = tsconfigOf(info);
    const flags: Record<string, string | undefined> = {
        monitor: request.getMonitorAddress(),
        engine: engineAddress,
        organization: request.getOrganization(),
        project: request.getProject(),
        "root-directory": info?.getRootDirectory(),
        stack: request.getStack(),
        pwd: directory,
        parallel: String(request.getParallel()),
    };
    const args = [
        ...process.execArgv, // Of our own launcher: the cache of compiled libraries.
        runner(directory),
        ...Object.entries(flags).flatMap(([name, value]) => (value ? [`--${name}`, value] : [])),
        ...(request.getDryrun() ? ["--dry-run"] : []),
        info?.getEntryPoint() ?? ".",
        ...request.getArgsList(),
    ];
    const env: NodeJS.ProcessEnv = {
        ...process.env,
        PULUMI_CONFIG: JSON.stringify(programConfig(request.getConfigMap().toArray())),
        PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
        PULUMI_NODEJS_TYPESCRIPT: "true",
        ...(tsconfig !== undefined && { PULUMI_NODEJS_TSCONFIG_PATH: tsconfig }),
    };
    // Not our own stdout and stderr: Node.js makes them non-blocking, and what the program starts may trip over that.
    return spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
}

/** The one that is known of https://www.pulumi.com/docs/iac/concepts/projects/project-file/#runtime-options */
export function tsconfigOf(info: ProgramInfo | undefined): string | undefined {
    const { tsconfig, ...others } = info?.getOptions()?.toJavaScript() ?? {};
    const [unknown] = Object.keys(others);
    const place = (key: string) => `runtime.options.${key} in Pulumi.yaml`;
    if (unknown !== undefined)
        throw new Error(`${place(unknown)} is not known to the offline engine; it knows tsconfig`);
    if (tsconfig === undefined || typeof tsconfig === "string") return tsconfig;
    throw new Error(`${place("tsconfig")} should be a string, got ${JSON.stringify(tsconfig)}`);
}

/** The SDK reads keys as `namespace:config:name`, its older form; the engine sends `namespace:name`. */
export function programConfig(entries: [string, string][]): Record<string, string> {
    return Object.fromEntries(
        entries.map(([key, value]) => [key.replace(/^([^:]+):([^:]+)$/, "$1:config:$2"), value]),
    );
}

/** The SDK's own entry point, of the SDK that the program imports. */
function runner(directory: string): string {
    try {
        return createRequire(path.join(directory, "package.json")).resolve("@pulumi/pulumi/cmd/run");
    } catch {
        throw new Error(`the Pulumi SDK is not installed in ${directory}: run \`npm ci\` there`);
    }
}

const ended = (code: number | NodeJS.Signals) =>
    typeof code === "number" ? `the program exited with code ${code}` : `the program was ended by ${code}`;

/** Resolves with the exit code (or the name of the signal), when all of the output has been handed on. */
async function exitCode(child: ChildProcess, cancelled: AbortSignal): Promise<number | NodeJS.Signals> {
    child.stdout?.pipe(process.stdout, { end: false });
    child.stderr?.pipe(process.stderr, { end: false });
    // A program that can't be started makes this one fail too; the wait for "exit" below reports it.
    const closed = once(child, "close").catch(() => undefined);
    const stop = () => {
        child.kill("SIGINT");
        setTimeout(() => child.kill("SIGKILL"), GRACE_MS).unref();
    };
    if (cancelled.aborted) stop();
    cancelled.addEventListener("abort", stop);
    try {
        const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
        // Something that the program left running may hold its output open for ever.
        await Promise.race([closed, delay(GRACE_MS, undefined, { ref: false })]);
        return code ?? signal ?? 1;
    } finally {
        cancelled.removeEventListener("abort", stop);
    }
}
