import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

import type { Log } from "../resource.ts";
import type { Properties } from "../values.ts";

type Logging = "stdout" | "stderr" | "stdoutAndStderr" | "none";
export const LOGGING: readonly string[] = ["stdout", "stderr", "stdoutAndStderr", "none"] satisfies Logging[];

/** What a command wrote; its lines go to the engine as they come, as `logging` (default: both) allows. */
export class Output {
    stdout = "";
    stderr = "";
    /** Both, in the order in which they arrived. */
    combined = "";

    constructor(streams: { stdout: Readable; stderr: Readable }, logging: unknown, log: Log) {
        for (const name of ["stdout", "stderr"] as const) {
            const stream = streams[name].setEncoding("utf8");
            stream.on("data", (text: string) => {
                this[name] += text;
                this.combined += text;
            });
            if (logging !== undefined && logging !== "stdoutAndStderr" && logging !== name) continue;
            createInterface({ input: stream, crlfDelay: Infinity }).on("line", (line) => {
                log(line);
            });
        }
    }

    /** As outputs of the resource: without the last line's end. */
    properties(): Properties {
        return { stdout: this.stdout.replace(/\n$/, ""), stderr: this.stderr.replace(/\n$/, "") };
    }

    /** In the official provider's words, which name the whole command. */
    failure(reason: string, command: string): Error {
        return new Error(`${reason}: running ${JSON.stringify(command)}:\n${this.combined}`);
    }
}
