import { createHash } from "node:crypto";
import net from "node:net";
import pRetry from "p-retry";
import ssh2, { type Client, type ServerHostKeyAlgorithm } from "ssh2";

import type { Call } from "../resource.ts";

/** `connection` of a remote command: login by key. */
export interface Connection {
    host: string;
    port?: number;
    user?: string;
    privateKey?: string;
    /** One line of authorized_keys; unset: any key is accepted. */
    hostKey?: string;
    /** Tries that may fail before the last one; -1: no limit; default 10. */
    dialErrorLimit?: number;
    /** Seconds for the TCP connection of one try; 0: no limit; default 15. */
    perDialTimeout?: number;
}

const KEYS = ["host", "port", "user", "privateKey", "hostKey", "dialErrorLimit", "perDialTimeout"];

/** Time from an open TCP connection to a ready session: a host that accepts and says nothing must not hang us. */
const READY_SECONDS = 20;
/** A host that died in the middle of a command is noticed after 4 of these. */
const KEEPALIVE_SECONDS = 15;

/**
 * Connects. A host that boots refuses at first, and for a moment even shows another host key, so every kind of
 * failure is tried again: 0.1 s later at first, 5 s at last, as in
 * https://github.com/pulumi/pulumi/blob/v3.248.0/sdk/go/common/util/retry/until.go
 */
export async function connect(connection: Connection, call: Call): Promise<Client> {
    const strange = Object.keys(connection).filter((key) => !KEYS.includes(key) && !key.startsWith("__"));
    if (strange.length > 0)
        throw new Error(
            `a connection can have ${KEYS.join(", ")} with the offline engine, got ${strange.join(", ")}`,
        );
    const limit = connection.dialErrorLimit ?? 10;
    const hostKey = pinnedKey(connection);
    return pRetry(async () => handshake(await openTcp(connection), connection, hostKey), {
        retries: limit < 0 ? Infinity : limit,
        minTimeout: 100,
        factor: 1.5,
        maxTimeout: 5000,
        signal: call.signal,
        onFailedAttempt: ({ attemptNumber, retriesLeft }) => {
            if (retriesLeft === 0) return;
            const tries = `${attemptNumber}/${limit < 0 ? "inf" : limit}`;
            // As little as the official one says: the reason comes with the last try.
            call.log(`Dial ${tries} failed: retrying`);
        },
    }).catch((error: unknown) => {
        if (call.signal.aborted || !(error instanceof Error)) throw error;
        throw new Error(`after ${limit} failed attempts: ${error.message}`);
    });
}

function addressOf({ host, port = 22 }: Connection): string {
    return `${net.isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function openTcp(connection: Connection): Promise<net.Socket> {
    const { host, port = 22, perDialTimeout = 15 } = connection;
    return new Promise((resolve, reject) => {
        const socket = net.connect({ host, port, timeout: perDialTimeout * 1000 });
        const fail = (reason: string): void => {
            socket.destroy();
            reject(new Error(`dial tcp ${addressOf(connection)}: ${reason}`));
        };
        socket.once("timeout", () => {
            fail(`no answer within ${perDialTimeout} s`);
        });
        socket.once("error", ({ code, message }: NodeJS.ErrnoException) => {
            fail(code === "ECONNREFUSED" ? "connect: connection refused" : message || String(code));
        });
        socket.once("connect", () => {
            socket.setTimeout(0).removeAllListeners("timeout").removeAllListeners("error");
            resolve(socket);
        });
    });
}

function handshake(socket: net.Socket, connection: Connection, hostKey?: HostKey): Promise<Client> {
    const client = new ssh2.Client();
    const { privateKey, user = "root" } = connection;
    let seen: Buffer | undefined;
    return new Promise((resolve, reject) => {
        const fail = ({ message }: Error): void => {
            client.destroy();
            socket.destroy();
            const mismatch = hostKey && seen && !seen.equals(hostKey.blob) && describeMismatch(hostKey, seen);
            const at = addressOf(connection);
            reject(
                new Error(
                    mismatch ? `ssh: host key mismatch at ${at}: ${mismatch}` : `ssh: ${at}: ${message}`,
                ),
            );
        };
        client.once("ready", () => {
            resolve(client);
        });
        client.on("error", fail);
        client.once("close", () => {
            fail(new Error("the host closed the connection during the handshake"));
        });
        client.connect({
            sock: socket,
            username: user,
            ...(privateKey !== undefined && { privateKey }),
            readyTimeout: READY_SECONDS * 1000,
            keepaliveInterval: KEEPALIVE_SECONDS * 1000,
            keepaliveCountMax: 4,
            // Only the pinned type is negotiated: a host with keys of several types may show another one first.
            ...(hostKey && { algorithms: { serverHostKey: [hostKey.type as ServerHostKeyAlgorithm] } }),
            hostVerifier: (key: Buffer) => {
                seen = key;
                return hostKey === undefined || key.equals(hostKey.blob);
            },
        });
    });
}

interface HostKey {
    type: string;
    blob: Buffer;
}

function pinnedKey({ hostKey }: Connection): HostKey | undefined {
    if (hostKey === undefined) return undefined;
    const key = ssh2.utils.parseKey(hostKey);
    if (key instanceof Error) throw new Error(`failed to parse host key: ${key.message}`);
    return { type: key.type, blob: key.getPublicSSH() };
}

function describeMismatch(expected: HostKey, seen: Buffer): string {
    const fingerprint = (key: Buffer): string =>
        `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
    const seenType = seen.subarray(4, 4 + seen.readUInt32BE(0)).toString();
    return `expected ${expected.type} ${fingerprint(expected.blob)}, the host showed ${seenType} ${fingerprint(seen)}`;
}
