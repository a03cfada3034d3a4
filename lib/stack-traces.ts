/** Makes the stack trace of an error. https://v8.dev/docs/stack-trace-api#customizing-stack-traces */
type Prepare = (error: Error, frames: { getFunctionName(): string | null }[]) => unknown;
const hook = Error as unknown as { prepareStackTrace?: Prepare | undefined };

/**
 * Leaves out the stack traces that the SDK takes of every promise in case that it leaks, a hundred for each resource: to map
 * them to the TypeScript sources was most of the time of a preview of many servers. Who looks for such a promise, with
 * PULUMI_DEBUG_PROMISE_LEAKS, has them; without it nothing reads them.
 * https://github.com/pulumi/pulumi/blob/v3.248.0/sdk/nodejs/runtime/debuggable.ts
 */
export function skipTracesOfPromises(): void {
    const prepare = hook.prepareStackTrace?.bind(Error);
    if (!prepare || process.env.PULUMI_DEBUG_PROMISE_LEAKS) return;
    hook.prepareStackTrace = (error, frames) =>
        frames[0]?.getFunctionName() === "debuggablePromise" ? "" : prepare(error, frames);
}
