import { afterEach, expect, it } from "vitest";
import { rememberStackTraces } from "../../lib/stack-traces";

const hook = Error as unknown as { prepareStackTrace?: unknown };
const { prepareStackTrace } = hook;
afterEach(() => {
    hook.prepareStackTrace = prepareStackTrace;
});

/** Counts how often a trace is made. */
function counting() {
    const made: string[] = [];
    hook.prepareStackTrace = (error: Error, frames: { toString(): string }[]) => {
        made.push(error.message);
        return `${String(error)}\n${frames.map((frame) => `    at ${frame.toString()}`).join("\n")}`;
    };
    return made;
}
const here = (message = "") => new Error(message).stack;
const there = () => new Error().stack;
const traces = () => [1, 2].map(() => [here(), there(), here("disk full")]);

it("a place's stack trace is made once, and says the same; one with a message each time", () => {
    counting();
    const [plain] = traces();
    const made = counting();
    rememberStackTraces();
    rememberStackTraces();
    const [first, second] = traces();
    expect(second).toEqual(first);
    expect(made).toEqual(["", "", "disk full", "disk full"]);
    const lines = (trace: string | undefined) => trace?.split("\n").slice(0, 3);
    expect(first?.map(lines)).toEqual(plain?.map(lines));
    expect(first?.[0]).toContain("stack-traces.test.ts");
    expect(first?.[0]).not.toBe(first?.[1]);
});

it("where nothing maps traces, nothing is changed", () => {
    hook.prepareStackTrace = undefined;
    rememberStackTraces();
    expect(hook.prepareStackTrace).toBeUndefined();
});
