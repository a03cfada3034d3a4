import { isDeepStrictEqual } from "node:util";
import { Metadata, status, type handleUnaryCall, type UntypedServiceImplementation } from "@grpc/grpc-js";
import anyPb from "google-protobuf/google/protobuf/any_pb.js";
import emptyPb from "google-protobuf/google/protobuf/empty_pb.js";
import structPb from "google-protobuf/google/protobuf/struct_pb.js";
import pluginPb from "@pulumi/pulumi/proto/plugin_pb.js";
import type { IResourceProviderServer } from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import pb from "@pulumi/pulumi/proto/provider_pb.js";
import statusPb from "@pulumi/pulumi/proto/status_pb.js";

import { DetailedError, messageOf, unary } from "../plugin.ts";
import { withBridgeKeys } from "./bridge.ts";
import { check } from "./check.ts";
import { diff, type Change } from "./diff.ts";
import type { Call, Log, Provider, Resource } from "./resource.ts";
import {
    afterRead,
    afterUpdate,
    inputsAfterRead,
    previewCreate,
    previewUpdate,
    storedInputs,
    withSecrets,
} from "./state.ts";
import { revealAll, type Properties } from "./values.ts";

/** Where the engine hears of what goes on. */
export interface Host {
    /** Log lines of the resource `urn`. */
    logFor: (urn: string) => Log;
    /** Resolves when everything logged so far has reached the engine. */
    flush: () => Promise<void>;
}

type Service = Partial<IResourceProviderServer>;

/** The methods of https://github.com/pulumi/pulumi/blob/v3.248.0/proto/pulumi/provider.proto that the engine needs. */
export function service(provider: Provider, host: Host): UntypedServiceImplementation {
    const cancelled = new AbortController();
    const methods: Service = {
        ...packageMethods(provider, cancelled),
        ...planMethods(provider),
        ...lifecycleMethods(provider, host, cancelled.signal),
    };
    return methods as UntypedServiceImplementation;
}

function packageMethods(provider: Provider, cancelled: AbortController): Service {
    return {
        getPluginInfo: unary(() => new pluginPb.PluginInfo().setVersion(provider.version)),
        checkConfig: unary((request: pb.CheckRequest) =>
            new pb.CheckResponse().setInputs(
                toStruct({ ...fromStruct(request.getNews()), ...provider.configMarks }),
            ),
        ),
        diffConfig: unary((request: pb.DiffRequest) =>
            configDiff(fromStruct(request.getOldInputs()), fromStruct(request.getNews())),
        ),
        configure: unary((request: pb.ConfigureRequest) => {
            provider.configure(revealAll(fromStruct(request.getArgs())));
            return new pb.ConfigureResponse()
                .setAcceptsecrets(true)
                .setAcceptresources(true)
                .setSupportspreview(true);
        }),
        invoke: unary(async (request: pb.InvokeRequest) => {
            const run = provider.functions[request.getTok()];
            if (!run)
                throw new Error(unknownToken("function", request.getTok(), Object.keys(provider.functions)));
            return new pb.InvokeResponse().setReturn(
                toStruct(await run(revealAll(fromStruct(request.getArgs())))),
            );
        }),
        cancel: unary(() => {
            cancelled.abort(new Error("the run was cancelled"));
            return new emptyPb.Empty();
        }),
    };
}

/**
 * Another token or endpoint never replaces what they made, but has to be an update: for a provider without one the engine
 * goes on with the configuration in the state.
 */
function configDiff(olds: Properties, news: Properties): pb.DiffResponse {
    const keys = new Set([...Object.keys(olds), ...Object.keys(news)]);
    const changed = [...keys].filter((key) => !isDeepStrictEqual(olds[key], news[key])).sort();
    const { DIFF_SOME, DIFF_NONE } = pb.DiffResponse.DiffChanges;
    return new pb.DiffResponse().setChanges(changed.length > 0 ? DIFF_SOME : DIFF_NONE).setDiffsList(changed);
}

function planMethods(provider: Provider): Service {
    return {
        check: unary((request: pb.CheckRequest) => {
            const { inputs, failures } = check(resourceOf(provider, request.getUrn()), {
                name: nameOf(request.getUrn()),
                olds: fromStruct(request.getOlds()),
                news: fromStruct(request.getNews()),
                randomSeed: request.getRandomseed_asU8(),
            });
            return new pb.CheckResponse()
                .setInputs(toStruct(inputs))
                .setFailuresList(
                    failures.map(({ property, reason }) =>
                        new pb.CheckFailure().setProperty(property).setReason(reason),
                    ),
                );
        }),
        diff: unary((request: pb.DiffRequest) => {
            const resource = resourceOf(provider, request.getUrn());
            const olds = fromStruct(request.getOlds());
            const { differences, deleteBeforeReplace } = diff(resource, olds, fromStruct(request.getNews()));
            const { DIFF_SOME, DIFF_NONE } = pb.DiffResponse.DiffChanges;
            const response = new pb.DiffResponse()
                .setChanges(differences.length > 0 ? DIFF_SOME : DIFF_NONE)
                .setDiffsList(topLevel(differences))
                .setReplacesList(topLevel(differences.filter(({ replace }) => replace)))
                .setDeletebeforereplace(deleteBeforeReplace)
                .setHasdetaileddiff(true);
            for (const { path, change, replace } of differences) {
                response
                    .getDetaileddiffMap()
                    .set(path, new pb.PropertyDiff().setKind(KIND[change][replace ? 1 : 0]));
            }
            return response;
        }),
    };
}

const { Kind } = pb.PropertyDiff;
/** Kinds of the engine: in place, and with replacement. */
const KIND: Record<Change, [pb.PropertyDiff.Kind, pb.PropertyDiff.Kind]> = {
    add: [Kind.ADD, Kind.ADD_REPLACE],
    delete: [Kind.DELETE, Kind.DELETE_REPLACE],
    update: [Kind.UPDATE, Kind.UPDATE_REPLACE],
};

function topLevel(differences: { path: string }[]): string[] {
    return [...new Set(differences.map(({ path }) => path.replace(/[.[].*$/, "")))];
}

function lifecycleMethods(provider: Provider, host: Host, signal: AbortSignal): Service {
    const callOf = (request: { getUrn: () => string; getTimeout: () => number }): Call => ({
        name: nameOf(request.getUrn()),
        timeoutSeconds: request.getTimeout() > 0 ? request.getTimeout() : undefined,
        signal,
        log: host.logFor(request.getUrn()),
    });
    /** As `unary`, and the log lines come before the result. */
    const operate = <Request extends { getUrn: () => string }, Response>(
        run: (request: Request, resource: Resource) => Promise<Response>,
    ): handleUnaryCall<Request, Response> =>
        unary(async (request) => {
            try {
                return await run(request, resourceOf(provider, request.getUrn()));
            } finally {
                await host.flush();
            }
        });
    return {
        create: operate(async (request: pb.CreateRequest, resource) => {
            const inputs = fromStruct(request.getProperties());
            const { id, outputs } = request.getPreview()
                ? { id: "", outputs: previewCreate(resource, inputs) }
                : await create(resource, inputs, callOf(request));
            return new pb.CreateResponse()
                .setId(id)
                .setProperties(toStruct(withSecrets(resource, outputs, inputs)));
        }),
        read: operate(async (request: pb.ReadRequest, resource) => {
            const state = fromStruct(request.getProperties());
            const inputs = fromStruct(request.getInputs());
            const plain = revealAll(state);
            const found = resource.read ? await resource.read(request.getId(), plain) : {};
            if (!found) return new pb.ReadResponse().setId("");
            const now = withBridgeKeys(resource, request.getId(), afterRead(resource, plain, found));
            return new pb.ReadResponse()
                .setId(request.getId())
                .setProperties(toStruct(withSecrets(resource, now, state, inputs)))
                .setInputs(
                    toStruct(withSecrets(resource, inputsAfterRead(resource, inputs, state, now), inputs)),
                );
        }),
        update: operate(async (request: pb.UpdateRequest, resource) => {
            const olds = revealAll(fromStruct(request.getOlds()));
            const inputs = fromStruct(request.getNews());
            const news = revealAll(inputs);
            if (!resource.update) throw new Error(`${request.getUrn()} can only be replaced`);
            const outputs = request.getPreview()
                ? previewUpdate(resource, olds, news)
                : withBridgeKeys(resource, request.getId(), {
                      ...afterUpdate(resource, olds, news),
                      ...(await resource.update(request.getId(), olds, news, callOf(request))),
                  });
            return new pb.UpdateResponse().setProperties(toStruct(withSecrets(resource, outputs, inputs)));
        }),
        delete: operate(async (request: pb.DeleteRequest, resource) => {
            await resource.delete(
                request.getId(),
                revealAll(fromStruct(request.getProperties())),
                callOf(request),
            );
            return new emptyPb.Empty();
        }),
    };
}

async function create(
    resource: Resource,
    inputs: Properties,
    call: Call,
): Promise<{ id: string; outputs: Properties }> {
    const { id, outputs } = await resource.create(revealAll(inputs), call);
    const stored = storedInputs(resource, inputs);
    const state = (found: Properties) =>
        withBridgeKeys(resource, id, { ...stored, ...found }, call.timeoutSeconds);
    try {
        return { id, outputs: state(await outputs()) };
    } catch (error) {
        throw initializationError(id, withSecrets(resource, state({}), inputs), messageOf(error));
    }
}

/** A URN is `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`; the name may hold anything. */
function nameOf(urn: string): string {
    return urn.split("::").slice(3).join("::");
}

function resourceOf(provider: Provider, urn: string): Resource {
    const type = urn.split("::")[2]?.split("$").at(-1) ?? "";
    const resource = provider.resources[type];
    if (!resource) throw new Error(unknownToken("resource", type, Object.keys(provider.resources)));
    return resource;
}

function unknownToken(kind: string, token: string, known: string[]): string {
    return (
        `this stand-in for the official plugin does not serve the ${kind} ${token}; it serves ${known.join(", ")}. ` +
        "Install the official plugin (pulumi plugin install) to use all others"
    );
}

function fromStruct(struct: structPb.Struct | undefined): Properties {
    return struct?.toJavaScript() ?? {};
}

function toStruct(properties: Properties): structPb.Struct {
    return structPb.Struct.fromJavaScript(properties);
}

/** The resource exists but was not finished: the engine keeps it in state, and says why. */
function initializationError(id: string, properties: Properties, reason: string): DetailedError {
    const failed = new pb.ErrorResourceInitFailed()
        .setId(id)
        .setProperties(toStruct(properties))
        .setReasonsList([reason]);
    const packed = new anyPb.Any();
    packed.pack(failed.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const rich = new statusPb.Status().setCode(status.UNKNOWN).setMessage(reason).setDetailsList([packed]);
    const metadata = new Metadata();
    metadata.add("grpc-status-details-bin", Buffer.from(rich.serializeBinary()));
    return new DetailedError(reason, metadata);
}
