import * as debuggable from "@pulumi/pulumi/runtime/debuggable";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { skipTracesOfPromises } from "../../lib/stack-traces";

/** Not in its types. */
const { debuggablePromise } = debuggable as unknown as {
    debuggablePromise: (promise: Promise<unknown>, context: string) => Promise<unknown>;
};
const hook = Error as unknown as { prepareStackTrace?: unknown };
const { prepareStackTrace } = hook;
beforeEach(() => {
    hook.prepareStackTrace = (error: Error) => `mapped: ${error.message}`;
});
afterEach(() => {
    hook.prepareStackTrace = prepareStackTrace;
    vi.unstubAllEnvs();
});

/** What the SDK keeps of a promise that it watches. */
const traceOf = (): unknown => {
    const watched = Promise.resolve(1);
    void debuggablePromise(watched, "a test");
    return (watched as unknown as { _debugStackTrace: unknown })._debugStackTrace;
};

it("the SDK's trace of a promise is not made; every other one is, without a message too", () => {
    skipTracesOfPromises();
    expect(traceOf()).toBe("");
    expect(new Error("disk full").stack).toBe("mapped: disk full");
    expect(new Error().stack).toBe("mapped: ");
});

it("all are made for who looks for a promise that leaks", () => {
    vi.stubEnv("PULUMI_DEBUG_PROMISE_LEAKS", "true");
    skipTracesOfPromises();
    expect(traceOf()).toBe("mapped: ");
});

it("where nothing maps traces, nothing is changed", () => {
    hook.prepareStackTrace = undefined;
    skipTracesOfPromises();
    expect(hook.prepareStackTrace).toBeUndefined();
});
