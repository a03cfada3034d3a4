/** Makes the stack trace of an error. https://v8.dev/docs/stack-trace-api#customizing-stack-traces */
type Prepare = (error: Error, frames: { toString(): string }[]) => unknown;
const hook = Error as unknown as { prepareStackTrace?: Prepare | undefined };

/**
 * Leaves the stack trace of an error without a message as Node.js has it, not mapped to the TypeScript sources. The SDK
 * takes a hundred for each resource, one for every promise that might leak, and mapping them was most of the time of a
 * preview of many servers. Who looks for such a promise, with PULUMI_DEBUG_PROMISE_LEAKS, has them mapped.
 * https://github.com/pulumi/pulumi/blob/v3.248.0/sdk/nodejs/runtime/debuggable.ts
 */
export function skipMappingOfTraces(): void {
    const map = hook.prepareStackTrace?.bind(Error);
    if (!map || process.env.PULUMI_DEBUG_PROMISE_LEAKS) return;
    hook.prepareStackTrace = (error, frames) =>
        error.message === ""
            ? [String(error), ...frames.map((frame) => `    at ${frame.toString()}`)].join("\n")
            : map(error, frames);
}
