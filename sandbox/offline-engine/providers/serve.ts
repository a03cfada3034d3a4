import { credentials } from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import enginePb from "@pulumi/pulumi/proto/engine_pb.js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb.js";

import { servePlugin } from "../plugin.ts";
import type { Provider } from "./resource.ts";
import { service, type Host } from "./service.ts";

/** Serves `provider` to the engine that started this process; its address is the last argument. */
export function serveProvider(provider: Provider): void {
    servePlugin(ResourceProviderService, service(provider, engineHost(process.argv.at(-1) ?? "")));
}

/** Sends log lines to the engine, in order. */
function engineHost(address: string): Host {
    const engine = new EngineClient(address, credentials.createInsecure());
    let last = Promise.resolve();
    const send = (request: enginePb.LogRequest): Promise<void> =>
        new Promise((resolve) => {
            // A line that the engine does not take is no reason to fail the operation.
            engine.log(request, () => {
                resolve();
            });
        });
    return {
        logFor: (urn) => (line) => {
            const request = new enginePb.LogRequest().setUrn(urn).setMessage(line).setEphemeral(true);
            request.setSeverity(enginePb.LogSeverity.INFO);
            last = last.then(() => send(request));
        },
        flush: () => last,
    };
}
