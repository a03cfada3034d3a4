import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";

import { credentials, Server, ServerCredentials, type ServiceError } from "@grpc/grpc-js";
import emptyPb from "google-protobuf/google/protobuf/empty_pb.js";
import structPb from "google-protobuf/google/protobuf/struct_pb.js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import type { LogRequest } from "@pulumi/pulumi/proto/engine_pb.js";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import pb from "@pulumi/pulumi/proto/provider_pb.js";
import statusPb from "@pulumi/pulumi/proto/status_pb.js";

import type { Properties } from "../../offline-engine/providers/values.ts";

type Callback<Response> = (error: ServiceError | null, response: Response) => void;

/** A plugin's process, spoken to as the engine does: checks first, and keeps what it is given. */
export interface Plugin {
    process: ChildProcess;
    client: ResourceProviderClient;
    /** Texts of the log lines that reached the engine. */
    lines: string[];
    /** A resource of type `type` with the logical name `name`. */
    resource: (type: string, name: string) => PluginResource;
    invoke: (token: string, args: Properties) => Promise<Properties>;
    /** What the engine sends when the user stops the run. */
    cancel: () => Promise<unknown>;
    stop: () => Promise<void>;
}

export interface CheckResult {
    inputs: Properties;
    failures: Record<string, string>;
}

export interface DiffResult {
    /** Path of the property -> kind of the engine (UPDATE_REPLACE, …). */
    kinds: Record<string, string>;
    replaces: string[];
    deleteBeforeReplace: boolean;
    changed: boolean;
}

export interface PluginResource {
    urn: string;
    check: (news: Properties, olds?: Properties) => Promise<CheckResult>;
    create: (inputs: Properties, options?: { preview?: boolean; timeout?: number }) => Promise<Existing>;
    diff: (old: Existing, news: Properties) => Promise<DiffResult>;
    update: (old: Existing, news: Properties, options?: { preview?: boolean }) => Promise<Existing>;
    read: (old: Existing) => Promise<Existing>;
    delete: (old: Existing, options?: { timeout?: number }) => Promise<void>;
}

export interface Existing {
    id: string;
    inputs: Properties;
    state: Properties;
}

const UNLIMITED = { "grpc.max_receive_message_length": -1 };

/** The error of a creation that left something behind, as the engine reads it. */
export function initFailure(error: unknown): { id: string; state: Properties; reasons: string[] } {
    const [bytes] = (error as ServiceError).metadata.get("grpc-status-details-bin");
    const [detail] = statusPb.Status.deserializeBinary(new Uint8Array(bytes as Buffer)).getDetailsList();
    const failed = pb.ErrorResourceInitFailed.deserializeBinary(detail?.getValue_asU8() ?? new Uint8Array());
    return {
        id: failed.getId(),
        state: properties(failed.getProperties()),
        reasons: failed.getReasonsList(),
    };
}

/** Starts `providers/<name>.ts` with `env` and configures it with `config`. */
export async function startPlugin(
    name: "digitalocean" | "command",
    env: Record<string, string> = {},
    config: Properties = {},
): Promise<Plugin> {
    const lines: string[] = [];
    const engine = await fakeEngine(lines);
    const entry = path.resolve(import.meta.dirname, `../../offline-engine/providers/${name}.ts`);
    const child = spawn(process.execPath, ["--import", "tsx", entry, `127.0.0.1:${engine.port}`], {
        stdio: ["pipe", "pipe", "inherit"],
        env: { PATH: process.env.PATH, ...env },
        detached: true,
    });
    const port = await new Promise<string>((resolve, reject) => {
        createInterface({ input: child.stdout }).once("line", resolve);
        child.once("exit", (code) => {
            reject(new Error(`the plugin ended with ${code} before it served`));
        });
    });
    const client = new ResourceProviderClient(`127.0.0.1:${port}`, credentials.createInsecure(), UNLIMITED);
    const configured = await ask<pb.ConfigureResponse>((callback) =>
        client.configure(new pb.ConfigureRequest().setArgs(struct(config)), callback),
    );
    if (!configured.getSupportspreview() || !configured.getAcceptsecrets())
        throw new Error("wrong answer to configure");
    return {
        process: child,
        client,
        lines,
        resource: (type, logicalName) => resource(client, type, logicalName),
        invoke: async (token, args) => {
            const request = new pb.InvokeRequest().setTok(token).setArgs(struct(args));
            return properties(
                (await ask<pb.InvokeResponse>((callback) => client.invoke(request, callback))).getReturn(),
            );
        },
        cancel: () => ask<emptyPb.Empty>((callback) => client.cancel(new emptyPb.Empty(), callback)),
        stop: async () => {
            client.close();
            engine.stop();
            if (child.exitCode !== null || child.signalCode !== null) return;
            const exited = once(child, "exit");
            child.stdin.end();
            await exited;
        },
    };
}

async function fakeEngine(lines: string[]): Promise<{ port: number; stop: () => void }> {
    const server = new Server();
    server.addService(EngineService, {
        log: (call: { request: LogRequest }, callback: (error: null, response: unknown) => void) => {
            lines.push(call.request.getMessage());
            callback(null, new emptyPb.Empty());
        },
    });
    const port = await new Promise<number>((resolve, reject) => {
        server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
            if (error) reject(error);
            else resolve(bound);
        });
    });
    return {
        port,
        stop: () => {
            server.forceShutdown();
        },
    };
}

function ask<Response>(start: (callback: Callback<Response>) => unknown): Promise<Response> {
    return new Promise((resolve, reject) => {
        start((error, response) => {
            if (error) reject(error);
            else resolve(response);
        });
    });
}

function struct(value: Properties): structPb.Struct {
    return structPb.Struct.fromJavaScript(value);
}

function properties(value: structPb.Struct | undefined): Properties {
    return value?.toJavaScript() ?? {};
}

function resource(client: ResourceProviderClient, type: string, name: string): PluginResource {
    const urn = `urn:pulumi:test::dropscale::dropscale:index:Part$${type}::${name}`;
    return {
        urn,
        async check(news, olds = {}) {
            const request = new pb.CheckRequest().setUrn(urn).setOlds(struct(olds)).setNews(struct(news));
            const response = await ask<pb.CheckResponse>((callback) =>
                client.check(request.setRandomseed(Buffer.from("seed")), callback),
            );
            const failures = response
                .getFailuresList()
                .map((failure) => [failure.getProperty(), failure.getReason()]);
            return {
                inputs: properties(response.getInputs()),
                failures: Object.fromEntries(failures) as Record<string, string>,
            };
        },
        async create(inputs, { preview = false, timeout = 0 } = {}) {
            const request = new pb.CreateRequest().setUrn(urn).setProperties(struct(inputs));
            const response = await ask<pb.CreateResponse>((callback) =>
                client.create(request.setPreview(preview).setTimeout(timeout), callback),
            );
            return { id: response.getId(), inputs, state: properties(response.getProperties()) };
        },
        async diff(old, news) {
            const request = new pb.DiffRequest().setId(old.id).setUrn(urn);
            request.setOlds(struct(old.state)).setOldInputs(struct(old.inputs)).setNews(struct(news));
            const response = await ask<pb.DiffResponse>((callback) => client.diff(request, callback));
            const nameOfKind = Object.fromEntries(
                Object.entries(pb.PropertyDiff.Kind).map(([kind, number]) => [number, kind]),
            );
            const kinds: [string, string | undefined][] = [];
            response.getDetaileddiffMap().forEach((difference: pb.PropertyDiff, property: string) => {
                kinds.push([property, nameOfKind[difference.getKind()]]);
            });
            return {
                kinds: Object.fromEntries(kinds) as Record<string, string>,
                replaces: response.getReplacesList(),
                deleteBeforeReplace: response.getDeletebeforereplace(),
                changed: response.getChanges() === pb.DiffResponse.DiffChanges.DIFF_SOME,
            };
        },
        async update(old, news, { preview = false } = {}) {
            const request = new pb.UpdateRequest().setId(old.id).setUrn(urn).setPreview(preview);
            request.setOlds(struct(old.state)).setOldInputs(struct(old.inputs)).setNews(struct(news));
            const response = await ask<pb.UpdateResponse>((callback) => client.update(request, callback));
            return { id: old.id, inputs: news, state: properties(response.getProperties()) };
        },
        async read(old) {
            const request = new pb.ReadRequest().setId(old.id).setUrn(urn);
            request.setProperties(struct(old.state)).setInputs(struct(old.inputs));
            const response = await ask<pb.ReadResponse>((callback) => client.read(request, callback));
            return {
                id: response.getId(),
                inputs: properties(response.getInputs()),
                state: properties(response.getProperties()),
            };
        },
        async delete(old, { timeout = 0 } = {}) {
            const request = new pb.DeleteRequest().setId(old.id).setUrn(urn).setProperties(struct(old.state));
            await ask<emptyPb.Empty>((callback) => client.delete(request.setTimeout(timeout), callback));
        },
    };
}
