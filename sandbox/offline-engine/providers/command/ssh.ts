import { createHash } from "node:crypto";
import net from "node:net";
import type { Duplex } from "node:stream";
import pRetry from "p-retry";
import ssh2, { type Client, type ConnectConfig, type ServerHostKeyAlgorithm } from "ssh2";

import type { Call } from "../resource.ts";

/** `connection` of a remote command, and, without `proxy`, of its jump host. */
export interface Connection {
    host: string;
    port?: number;
    user?: string;
    password?: string;
    privateKey?: string;
    privateKeyPassword?: string;
    agentSocketPath?: string;
    /** One line of authorized_keys; unset: any key is accepted. */
    hostKey?: string;
    /** Tries that may fail before the last one; -1: no limit; default 10. */
    dialErrorLimit?: number;
    /** Seconds for the TCP connection of one try; 0: no limit; default 15. */
    perDialTimeout?: number;
    proxy?: Connection;
}

/** Time from an open TCP connection to a ready session: a host that accepts and says nothing must not hang us. */
const READY_SECONDS = 20;
/** A host that died in the middle of a command is noticed after 4 of these. */
const KEEPALIVE_SECONDS = 15;

/**
 * Connects, by way of the jump host if there is one. A host that boots refuses at first, and for a moment even
 * shows another host key, so every kind of failure is tried again: 0.1 s later at first, 5 s at last, as in
 * https://github.com/pulumi/pulumi/blob/v3.248.0/sdk/go/common/util/retry/until.go
 */
export async function connect(connection: Connection, call: Call): Promise<Client> {
    const { proxy } = connection;
    if (!proxy) return dial("Dial", connection, call, () => openTcp(connection));
    const jump = await dial("Dial proxy", proxy, call, () => openTcp(proxy)).catch(viaProxy);
    const client = await dial("Dial from proxy", connection, call, () => forward(jump, connection)).catch(
        (error: unknown) => {
            jump.end();
            return viaProxy(error);
        },
    );
    return client.once("close", () => jump.end());
}

function viaProxy(error: unknown): never {
    throw new Error(`proxy: ${error instanceof Error ? error.message : String(error)}`);
}

async function dial(
    what: string,
    connection: Connection,
    call: Call,
    open: () => Promise<Duplex>,
): Promise<Client> {
    const config = sshConfig(connection);
    const limit = connection.dialErrorLimit ?? 10;
    return pRetry(async () => handshake(await open(), connection, config), {
        retries: limit < 0 ? Infinity : limit,
        minTimeout: 100,
        factor: 1.5,
        maxTimeout: 5000,
        signal: call.signal,
        onFailedAttempt: ({ error, attemptNumber, retriesLeft }) => {
            if (retriesLeft === 0) return;
            const tries = `${attemptNumber}/${limit < 0 ? "inf" : limit}`;
            call.log("status", `${what} ${tries} failed: ${error.message}; retrying`);
        },
    }).catch((error: unknown) => {
        if (call.signal.aborted || !(error instanceof Error)) throw error;
        throw new Error(`after ${limit} failed attempts: ${error.message}`);
    });
}

function addressOf({ host, port = 22 }: Connection): string {
    return `${net.isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function openTcp(connection: Connection): Promise<Duplex> {
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
        socket.once("error", (error: NodeJS.ErrnoException) => {
            fail(
                error.code === "ECONNREFUSED"
                    ? "connect: connection refused"
                    : error.message || String(error.code),
            );
        });
        socket.once("connect", () => {
            socket.setTimeout(0).removeAllListeners("timeout").removeAllListeners("error");
            resolve(socket);
        });
    });
}

function forward(jump: Client, connection: Connection): Promise<Duplex> {
    const { host, port = 22 } = connection;
    return new Promise((resolve, reject) => {
        jump.forwardOut("127.0.0.1", 0, host, port, (error, channel) => {
            if (error) reject(new Error(`dial tcp ${addressOf(connection)}: ${error.message}`));
            else resolve(channel);
        });
    });
}

function handshake(socket: Duplex, connection: Connection, config: ConnectConfig): Promise<Client> {
    const client = new ssh2.Client();
    const hostKey = pinned(connection);
    let seen: Buffer | undefined;
    return new Promise((resolve, reject) => {
        const fail = (error: Error): void => {
            client.destroy();
            socket.destroy();
            reject(
                new Error(
                    hostKey && seen && !seen.equals(hostKey.blob)
                        ? mismatch(connection, hostKey, seen)
                        : `ssh: ${addressOf(connection)}: ${error.message}`,
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
        client.on("keyboard-interactive", (_name, _text, _language, prompts, finish) => {
            finish(prompts.map(() => connection.password ?? ""));
        });
        client.connect({
            ...config,
            sock: socket,
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

function pinned({ hostKey }: Connection): HostKey | undefined {
    if (hostKey === undefined) return undefined;
    const key = ssh2.utils.parseKey(hostKey);
    if (key instanceof Error) throw new Error(`failed to parse host key: ${key.message}`);
    return { type: key.type, blob: key.getPublicSSH() };
}

function mismatch(connection: Connection, expected: HostKey, seen: Buffer): string {
    const fingerprint = (key: Buffer): string =>
        `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
    const seenType = seen.subarray(4, 4 + seen.readUInt32BE(0)).toString();
    return (
        `ssh: host key mismatch at ${addressOf(connection)}: ` +
        `expected ${expected.type} ${fingerprint(expected.blob)}, the host showed ${seenType} ${fingerprint(seen)}`
    );
}

function sshConfig(connection: Connection): ConnectConfig {
    const hostKey = pinned(connection);
    const agent = connection.agentSocketPath ?? process.env.SSH_AUTH_SOCK;
    return {
        username: connection.user ?? "root",
        readyTimeout: READY_SECONDS * 1000,
        keepaliveInterval: KEEPALIVE_SECONDS * 1000,
        keepaliveCountMax: 4,
        ...(connection.privateKey !== undefined && { privateKey: connection.privateKey }),
        ...(connection.privateKeyPassword !== undefined && { passphrase: connection.privateKeyPassword }),
        ...(connection.password !== undefined && { password: connection.password, tryKeyboard: true }),
        ...(agent && { agent }),
        // Only the pinned type is negotiated: a host with keys of several types may show another one first.
        ...(hostKey && { algorithms: { serverHostKey: [hostKey.type as ServerHostKeyAlgorithm] } }),
    };
}
