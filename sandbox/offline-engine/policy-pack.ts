import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import type { ServerWritableStream } from "@grpc/grpc-js";
import pb, { type RunPluginRequest, type RunPluginResponse } from "@pulumi/pulumi/proto/language_pb.js";
import { messageOf } from "./plugin.ts";

/**
 * Runs a policy pack with Node.js: `node …/run-policy-pack ENGINE FOLDER`, as `pulumi --policy-pack FOLDER` asks for
 * it. The pack is a plugin of its own; its output, with its port first, and its exit code go to the engine, which
 * ends the call when it is done with it.
 */
export function runPolicyPack(call: ServerWritableStream<RunPluginRequest, RunPluginResponse>): void {
    const { request } = call;
    const folder = request.getInfo()?.getProgramDirectory() ?? "";
    const fail = (error: unknown) => call.destroy(new Error(messageOf(error)));
    try {
        if (request.getKind() !== "analyzer")
            throw new Error(
                `the offline engine runs policy packs, no other plugins: got ${request.getKind()}`,
            );
        const runner = createRequire(path.join(folder, "package.json")).resolve(
            "@pulumi/pulumi/cmd/run-policy-pack",
        );
        const pairs = request.getEnvList().map((pair) => pair.split(/=(.*)/s, 2) as [string, string]);
        const args = [runner, ...request.getArgsList(), folder];
        const child = spawn(process.execPath, args, {
            cwd: folder,
            env: Object.fromEntries(pairs),
            stdio: ["ignore", "pipe", "pipe"],
        });
        child.stdout.on("data", (data: Buffer) => call.write(new pb.RunPluginResponse().setStdout(data)));
        child.stderr.on("data", (data: Buffer) => call.write(new pb.RunPluginResponse().setStderr(data)));
        child.once("error", fail);
        child.once("close", (code) => {
            call.write(new pb.RunPluginResponse().setExitcode(code ?? 1));
            call.end();
        });
        call.once("cancelled", () => child.kill());
    } catch (error) {
        fail(error);
    }
}
