/**
 * The Node.js language host for machines that can't download Pulumi's: a LanguageRuntime service which the engine
 * asks to run programs. https://www.pulumi.com/docs/iac/concepts/how-pulumi-works/#language-hosts
 */
import { type UntypedServiceImplementation } from "@grpc/grpc-js";
import rpc, { type ILanguageRuntimeServer } from "@pulumi/pulumi/proto/language_grpc_pb.js";
import pb from "@pulumi/pulumi/proto/language_pb.js";
import pluginPb from "@pulumi/pulumi/proto/plugin_pb.js";
import { version } from "@pulumi/pulumi/version.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import { servePlugin, unary } from "./plugin.ts";
import { runPolicyPack } from "./policy-pack.ts";
import { runProgram } from "./program.ts";

/** The engine's address is the last argument; a handshake replaces it. */
let engineAddress = process.argv.at(-1) ?? "";
const cancelled = new AbortController();
/** Programs that run; the process ends after them. */
const running = new Set<Promise<unknown>>();

const languageRuntime: Partial<ILanguageRuntimeServer> = {
    handshake: unary((request) => {
        engineAddress = request.getEngineAddress();
        return new pb.LanguageHandshakeResponse();
    }),
    // Every resource names its plugin and version when it is registered: the engine need not know them before.
    getRequiredPackages: unary(() => new pb.GetRequiredPackagesResponse()),
    getPluginInfo: unary(() => new pluginPb.PluginInfo().setVersion(version)),
    run: unary(async (request) => {
        if (request.getAttachDebugger()) throw new Error("the offline engine can't attach a debugger");
        const run = runProgram(request, engineAddress, cancelled.signal);
        running.add(run);
        return run.finally(() => running.delete(run));
    }),
    runPlugin: runPolicyPack,
    cancel: unary(() => {
        cancelled.abort();
        return new empty.Empty();
    }),
    about: unary(() => new pb.AboutResponse().setExecutable(process.execPath).setVersion(process.version)),
    // Nothing to ask: only npm is supported.
    runtimeOptionsPrompts: unary(() => new pb.RuntimeOptionsResponse()),
};

servePlugin(rpc.LanguageRuntimeService, languageRuntime as UntypedServiceImplementation, () => {
    cancelled.abort();
    return Promise.allSettled(running);
});
