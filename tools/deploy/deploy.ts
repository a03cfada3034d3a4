import { setTimeout as sleep } from "node:timers/promises";
import { useAccountOf } from "../live/api";
import { forgetGone } from "./gone";
import { failure, requireOrder, requirePlan, upOrClear } from "./up";

interface DeployOptions {
    refresh?: boolean;
    waitMinutes: number;
    quiet?: boolean;
}

const lookSeconds = 10;

/**
 * What a pipeline runs when a change is merged. Refuses what `doctor` and `plan` refuse, policy/limits.yaml among it: no
 * check of a pull request stands before it. Where another run holds the stack, waits for it.
 */
export async function deploy(stack: string, { waitMinutes, ...how }: DeployOptions): Promise<void> {
    await useAccountOf(stack);
    const deadline = Date.now() + waitMinutes * 60_000;
    let waits = false;
    for (;;) {
        const failed =
            (await requireOrder(stack)) ??
            (await forgetGone(stack).then(
                () => undefined,
                (error: unknown) => failure((error as Error).message),
            )) ??
            (await requirePlan(stack, how.refresh ? ["--refresh"] : [])) ??
            (await upOrClear(stack, how));
        if (failed === undefined) return;
        if (!failed.locked || Date.now() > deadline) throw new Error(failed.problem);
        if (!waits) console.error(`another run holds ${stack}: waiting for it, at most ${waitMinutes} min`);
        waits = true;
        await sleep(lookSeconds * 1000);
    }
}
