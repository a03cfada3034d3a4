import {
    type handleUnaryCall,
    type Metadata,
    Server,
    ServerCredentials,
    type ServiceDefinition,
    status,
    type UntypedServiceImplementation,
} from "@grpc/grpc-js";

/**
 * What every Pulumi plugin does at its start: serve gRPC on a free loopback port and print that port's number as
 * the first line of stdout. The engine holds the plugin's stdin open for as long as it lives, so the end of stdin
 * means that the engine is gone, by SIGKILL too: the plugin then ends itself and all that it started.
 * https://pulumi-developer-docs.readthedocs.io/latest/docs/architecture/plugins.html
 *
 * @param stop called once when the engine asks the plugin to end (it sends SIGINT to the plugin's process group and,
 *     5 s later, SIGKILL); the process exits when the promise settles.
 */
export function servePlugin(
    service: ServiceDefinition,
    methods: UntypedServiceImplementation,
    stop: () => Promise<unknown> = () => Promise.resolve(),
): void {
    const server = new Server({
        // A whole resource's state travels in one message: the engine sets no limit either.
        "grpc.max_receive_message_length": -1,
        "grpc.max_send_message_length": -1,
    });
    server.addService(service, methods);
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
        if (error) throw error;
        process.stdout.write(`${port}\n`);
    });
    const exit = () => void stop().finally(() => process.exit(0));
    process.once("SIGINT", exit).once("SIGTERM", exit);
    process.stdin.once("end", killGroup).once("error", killGroup).resume();
}

/** The engine makes each plugin the leader of a process group, so that no child of it can be forgotten. */
function killGroup(): void {
    try {
        process.kill(-process.pid, "SIGKILL");
    } catch {
        process.exit(1); // Not a leader: started by hand.
    }
}

/** An error with data for the engine beside its message. https://grpc.io/docs/guides/error/#richer-error-model */
export class DetailedError extends Error {
    readonly metadata: Metadata;

    constructor(message: string, metadata: Metadata) {
        super(message);
        this.metadata = metadata;
    }
}

/** A gRPC method as a plain function; what it throws becomes the error that the engine shows. */
export function unary<Request, Response>(
    answer: (request: Request) => Response | Promise<Response>,
): handleUnaryCall<Request, Response> {
    return (call, callback) => {
        const reply = async () => answer(call.request);
        reply().then(
            (response) => {
                callback(null, response);
            },
            (error: unknown) => {
                callback({
                    code: status.UNKNOWN,
                    details: messageOf(error),
                    ...(error instanceof DetailedError && { metadata: error.metadata }),
                });
            },
        );
    };
}

/** An error's message, without its stack. */
export function messageOf(error: unknown): string {
    return error instanceof Error ? error.message : String(error);
}
