import { execa } from "execa";

import type { Call } from "../resource.ts";
import { isEmpty, text, type Properties } from "../values.ts";
import { Output } from "./output.ts";

/** Runs `command` on this machine; `previous` holds the outputs of the run before. */
export async function runLocal(
    command: string,
    state: Properties,
    previous: Properties,
    call: Call,
): Promise<Properties> {
    const [program = "/bin/sh", ...args] = (state.interpreter ?? ["/bin/sh", "-c"]) as string[];
    const running = execa(program, [...args, command], {
        ...(state.dir !== undefined && { cwd: text(state.dir) }),
        env: {
            ...((state.environment ?? {}) as Record<string, string>),
            ...(state.addPreviousOutputInEnv === false ? {} : outputEnvironment(previous)),
        },
        input: text(state.stdin),
        buffer: false,
        reject: false,
        cancelSignal: call.signal,
    });
    const output = new Output(running, state.logging, call.log);
    const { failed, exitCode, signal, originalMessage } = await running;
    if (!failed) return output.properties();
    const killed = signal === undefined ? originalMessage : `signal: ${signal}`;
    throw output.failure(exitCode === undefined ? (killed ?? "failed") : `exit status ${exitCode}`, command);
}

/** What the run before wrote, for the next one. */
function outputEnvironment({ stdout, stderr }: Properties): Record<string, string> {
    return {
        ...(!isEmpty(stdout) && { PULUMI_COMMAND_STDOUT: text(stdout) }),
        ...(!isEmpty(stderr) && { PULUMI_COMMAND_STDERR: text(stderr) }),
    };
}
