import { afterEach, expect, it, vi } from "vitest";
import { skipMappingOfTraces } from "../../lib/stack-traces";

const hook = Error as unknown as { prepareStackTrace?: unknown };
const { prepareStackTrace } = hook;
afterEach(() => {
    hook.prepareStackTrace = prepareStackTrace;
    vi.unstubAllEnvs();
});

const mapWith = (text: string) => {
    hook.prepareStackTrace = (error: Error) => `${error.message}${text}`;
};
const here = (message = "") => new Error(message).stack;

it("a trace without a message is not mapped, but there; one with a message is", () => {
    mapWith(", mapped");
    skipMappingOfTraces();
    expect(here("disk full")).toBe("disk full, mapped");
    expect(here()).toMatch(/^Error\n {4}at here \(.*stack-traces\.test\.ts:\d+:\d+\)\n {4}at /);
});

it("all are mapped for who looks for a promise that leaks", () => {
    vi.stubEnv("PULUMI_DEBUG_PROMISE_LEAKS", "true");
    mapWith(", mapped");
    skipMappingOfTraces();
    expect(here()).toBe(", mapped");
});

it("where nothing maps traces, nothing is changed", () => {
    hook.prepareStackTrace = undefined;
    skipMappingOfTraces();
    expect(hook.prepareStackTrace).toBeUndefined();
});
