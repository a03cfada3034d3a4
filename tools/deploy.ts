/**
 * `tsx tools/deploy.ts STACK`: what a pipeline runs when a change is merged. Refuses where `doctor` says that an earlier
 * run left something half done, and what `make plan` refuses, policy/limits.yaml among it: no check of a pull request
 * stands before it. Else runs `pulumi up`. Where another run holds the stack it waits for it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { useAccountOf } from "./api";
import { runCommand } from "./command";
import { type Failure, requireOrder, requirePlan, upOrClear } from "./up";

const usage = "tsx tools/deploy.ts STACK [--refresh] [--wait-minutes N] [--quiet]";

interface Options {
    stack: string;
    /** Mend what was changed behind Pulumi's back, too. */
    refresh: boolean;
    /** How long to wait for another run. */
    waitMinutes: number;
    /** Show pulumi's output only where it fails. */
    quiet: boolean;
}

/** Between two looks whether the other run has ended. */
const lookSeconds = 10;

async function main({ stack, waitMinutes, ...how }: Options): Promise<void> {
    await useAccountOf(stack);
    const deadline = Date.now() + waitMinutes * 60_000;
    let waits = false;
    for (;;) {
        const failure: Failure | undefined =
            (await requireOrder(stack)) ??
            (await requirePlan(stack, how.refresh ? ["--refresh"] : [])) ??
            (await upOrClear(stack, how));
        if (failure === undefined) return;
        if (!failure.locked || Date.now() > deadline) throw new Error(failure.problem);
        if (!waits) console.error(`another run holds ${stack}: waiting for it, at most ${waitMinutes} min`);
        waits = true;
        await sleep(lookSeconds * 1000);
    }
}

/** @throws Error that says what is allowed. */
function readOptions(args: string[]): Options {
    const { values, positionals } = parseArgs({
        args,
        allowPositionals: true,
        options: {
            refresh: { type: "boolean", default: false },
            "wait-minutes": { type: "string", default: "30" },
            quiet: { type: "boolean", default: false },
        },
    });
    const { refresh, quiet, "wait-minutes": minutes } = values;
    const [stack, ...more] = positionals;
    if (stack === undefined || more.length > 0) throw new Error("name one stack");
    if (!/^\d{1,4}$/.test(minutes))
        throw new Error(`--wait-minutes should be a whole number from 0 to 9999, got ${minutes}`);
    return { stack, refresh, quiet, waitMinutes: Number(minutes) };
}

runCommand(usage, readOptions, main);
