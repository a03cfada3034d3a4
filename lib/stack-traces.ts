/** Makes the stack trace of an error. https://v8.dev/docs/stack-trace-api#customizing-stack-traces */
type Prepare = (error: Error, frames: { toString(): string }[]) => unknown;
const hook = Error as unknown as { prepareStackTrace?: Prepare | undefined };

/** What {@link rememberStackTraces} has put in place. */
let remembering: Prepare | undefined;

/**
 * Makes the stack trace of an error without a message cheap from the second one of the same place on; what it says stays
 * the same. The SDK takes a hundred for each resource, one for every promise that might leak, and to map them to the
 * sources was most of the time of a preview of many servers.
 * https://github.com/pulumi/pulumi/blob/v3.248.0/sdk/nodejs/runtime/debuggable.ts
 */
export function rememberStackTraces(): void {
    const prepare = hook.prepareStackTrace?.bind(Error);
    if (!prepare || hook.prepareStackTrace === remembering) return;
    const known = new Map<string, unknown>();
    remembering = (error, frames) => {
        if (error.message !== "") return prepare(error, frames);
        const place = [error.name, ...frames.map((frame) => frame.toString())].join("\n");
        if (!known.has(place)) known.set(place, prepare(error, frames));
        return known.get(place);
    };
    hook.prepareStackTrace = remembering;
}
