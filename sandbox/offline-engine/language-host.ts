/**
 * The Node.js language host for machines that can't download Pulumi's: a LanguageRuntime service which the engine
 * asks to run programs. https://www.pulumi.com/docs/iac/concepts/how-pulumi-works/#language-hosts
 */
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { type ServerWritableStream, status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import rpc, { type ILanguageRuntimeServer } from "@pulumi/pulumi/proto/language_grpc_pb.js";
import pb, {
    type InstallDependenciesRequest,
    type InstallDependenciesResponse,
    type ProgramInfo,
} from "@pulumi/pulumi/proto/language_pb.js";
import pluginPb from "@pulumi/pulumi/proto/plugin_pb.js";
import { version } from "@pulumi/pulumi/version.js";
import { execa } from "execa";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import { requiredPlugins } from "./packages.ts";
import { messageOf, servePlugin, unary } from "./plugin.ts";
import { runProgram } from "./program.ts";
import { runtimeOptions } from "./runtime-options.ts";

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
    getRequiredPackages: unary((request) =>
        new pb.GetRequiredPackagesResponse().setPackagesList(
            requiredPlugins(request.getInfo()?.getProgramDirectory() ?? ".").map(({ name, version }) =>
                new pluginPb.PackageDependency().setName(name).setKind("resource").setVersion(version),
            ),
        ),
    ),
    getPluginInfo: unary(() => new pluginPb.PluginInfo().setVersion(version)),
    run: unary(async (request) => {
        if (request.getAttachDebugger()) throw new Error("the offline engine can't attach a debugger");
        const run = runProgram(request, engineAddress, cancelled.signal);
        running.add(run);
        return run.finally(() => running.delete(run));
    }),
    cancel: unary(() => {
        cancelled.abort();
        return new empty.Empty();
    }),
    about: unary((request) => {
        const response = new pb.AboutResponse().setExecutable(process.execPath).setVersion(process.version);
        response
            .getMetadataMap()
            .set("packagemanager", "npm")
            .set("typescriptVersion", typescriptVersion(request.getInfo()));
        return response;
    }),
    getProgramDependencies: unary(async (request) => {
        const depth = request.getTransitivedependencies() ? "--all" : "--depth=0";
        // npm exits with 1 if anything is missing or not wanted, and prints the tree all the same.
        const { stdout } = await execa("npm", ["ls", "--json", depth], {
            cwd: request.getInfo()?.getProgramDirectory(),
            reject: false,
        });
        const dependencies = flatten(JSON.parse(stdout) as NpmTree);
        return new pb.GetProgramDependenciesResponse().setDependenciesList(
            [...dependencies].map(([name, version]) =>
                new pb.DependencyInfo().setName(name).setVersion(version),
            ),
        );
    }),
    // Nothing to ask: only npm is supported.
    runtimeOptionsPrompts: unary(() => new pb.RuntimeOptionsResponse()),
    installDependencies: (call) => {
        install(call).then(
            () => call.end(),
            (error: unknown) => call.emit("error", { code: status.UNKNOWN, details: messageOf(error) }),
        );
    },
};

/** `pulumi install`: npm, from the lock file if there is one, in the folder that has it. */
async function install(call: ServerWritableStream<InstallDependenciesRequest, InstallDependenciesResponse>) {
    const info = call.request.getInfo();
    const { production } = runtimeOptions(info);
    const directory = info?.getProgramDirectory() ?? call.request.getDirectory();
    const locked = fs.existsSync(path.join(directory, "package-lock.json"));
    const npm = execa("npm", [locked ? "ci" : "install", ...(production ? ["--omit=dev"] : [])], {
        cwd: directory,
        buffer: false,
        reject: false,
        cancelSignal: cancelled.signal,
    });
    npm.stdout.on("data", (data: Buffer) => call.write(new pb.InstallDependenciesResponse().setStdout(data)));
    npm.stderr.on("data", (data: Buffer) => call.write(new pb.InstallDependenciesResponse().setStderr(data)));
    const { failed, shortMessage } = await npm;
    if (failed) throw new Error(`${shortMessage ?? "npm failed"} (in ${directory})`);
}

interface NpmTree {
    dependencies?: Record<string, NpmTree & { version?: string; extraneous?: boolean }>;
}

function flatten(tree: NpmTree, into = new Map<string, string>()): Map<string, string> {
    for (const [name, child] of Object.entries(tree.dependencies ?? {})) {
        if (child.version === undefined || child.extraneous) continue;
        into.set(name, child.version);
        flatten(child, into);
    }
    return into;
}

function typescriptVersion(info: ProgramInfo | undefined): string {
    const require = createRequire(path.join(info?.getProgramDirectory() ?? ".", "package.json"));
    try {
        return (require("typescript/package.json") as { version: string }).version;
    } catch {
        return "not installed";
    }
}

servePlugin(
    (server) => {
        server.addService(rpc.LanguageRuntimeService, languageRuntime as UntypedServiceImplementation);
    },
    async () => {
        cancelled.abort();
        await Promise.allSettled(running);
    },
);
