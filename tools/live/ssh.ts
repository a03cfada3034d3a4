import type { Writable } from "node:stream";
import { Client } from "ssh2";
import { otherHostKey } from "../../lib/host-key";
import type { StackOutputs } from "../pulumi/run";

/** Where to log in as root, and how to know that it is the right host. */
export interface SshTarget {
    host: string;
    privateKey: string;
    /** The host's public key, as one line of type, key and comment; any other host is refused. */
    hostKey: string;
}

export interface SshOptions {
    /** Gets what the command reads as its stdin. @default it reads nothing */
    onStart?: (stdin: Writable) => void;
    /** Gets what it prints as it comes. @default nobody */
    onOutput?: (text: string) => void;
    /** Ends the connection; the promise is rejected then. */
    signal?: AbortSignal;
}

/**
 * Runs one command and returns what it printed; nothing, where `onOutput` got it.
 *
 * @throws Error if the host does not answer within 10 s or stops to, shows another key, or the command fails.
 */
export function runOverSsh(
    command: string,
    { host, privateKey, hostKey }: SshTarget,
    { onStart, onOutput, signal }: SshOptions = {},
): Promise<string> {
    const [type = "", expected = ""] = hostKey.split(" ");
    return new Promise((resolve, reject) => {
        const client = new Client();
        let seen = expected;
        const fail = (error: Error) => {
            client.end();
            const reason = seen === expected ? error.message : otherHostKey(hostKey, seen);
            reject(new Error(`SSH to root@${host}: ${reason}`));
        };
        client.on("error", fail);
        signal?.addEventListener("abort", () => {
            fail(new Error("stopped"));
        });
        client.once("ready", () => {
            client.exec(command, (error, channel) => {
                if (error) {
                    fail(error);
                    return;
                }
                let stdout = "";
                let stderr = "";
                channel.on("data", (data: Buffer) => {
                    if (onOutput) onOutput(data.toString());
                    else stdout += data.toString();
                });
                channel.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
                onStart?.(channel);
                channel.once("close", (code?: number) => {
                    client.end();
                    const words = [describeEnd(command, code), stderr.trim()].filter(Boolean);
                    if (code === 0) resolve(stdout);
                    else fail(new Error(words.join(": ")));
                });
            });
        });
        client.connect({
            host,
            username: "root",
            privateKey,
            readyTimeout: 10_000,
            keepaliveInterval: 5_000,
            algorithms: { serverHostKey: [type as "ssh-ed25519"] },
            hostVerifier: (key: Buffer) => {
                seen = key.toString("base64");
                return seen === expected;
            },
        });
    });
}

/** A whole script would hide what is said after it. @param code `undefined` where a signal or a broken connection ended it. */
function describeEnd(command: string, code: number | undefined): string {
    const what = command.includes("\n") ? "the command" : `\`${command}\``;
    return `${what} ${code === undefined ? "was cut off" : `ended with ${code}`}`;
}

/** The same on a stack's load balancer. */
export function onLoadBalancer(
    { loadBalancerIp: host, deployKey: privateKey, hostKey }: StackOutputs,
    command: string,
    options?: SshOptions,
): Promise<string> {
    return runOverSsh(command, { host, privateKey, hostKey }, options);
}
