import { setTimeout as sleep } from "node:timers/promises";
import { slotOf } from "../../lib/identity";
import { readDropletRoom, useAccountOf } from "../live/api";
import { holdDuring, planBatches, type PoolChanges, poolChanges } from "./batches";
import { readHaproxy } from "../live/haproxy";
import { some, timeSince } from "../cli/words";
import { leftOf } from "../live/left";
import { limitProblem, roomProblem } from "../plan/room";
import { readPlan } from "../plan/read";
import { readPreviewDocument } from "../pulumi/preview";
import { announcement, dropletsNeeded, planSteps, serverNames, type Step } from "./steps";
import { readOutputs, readPulumi } from "../pulumi/run";
import { StackConfig } from "../pulumi/stack-config";
import { confirm } from "../cli/terminal";
import { refusalOf, requireOrder, upOrClear } from "../deploy/up";

interface RolloutOptions {
    stack?: string;
    batch: number;
    pause?: boolean;
    quiet?: boolean;
}

/** How long HAProxy may take after a reload until each server has passed a check: at most two of them, and a slow one. */
const checkSeconds = 20;

/**
 * Replaces the servers of a stack in batches. The change itself (size, image, user data, generation) stands in the stack's
 * config already: this writes `hold` into Pulumi.<stack>.yaml, runs `pulumi up`, looks at the pool, and goes on with a
 * shorter list. What is still to be done is asked of `pulumi preview` at each start, so it may be interrupted at any moment
 * and run again.
 *
 * @param options.stack @default the one that is selected
 */
export async function rollout(options: RolloutOptions): Promise<void> {
    const { batch, pause, quiet, stack = (await readPulumi("stack", "--show-name")).trim() } = options;
    const started = Date.now();
    const config = new StackConfig(stack);
    // Before anything that takes time: a wrong `hold` is said at once.
    config.readSlots("hold");
    await useAccountOf(stack);
    const unfit = await requireOrder(stack);
    if (unfit) throw new Error(unfit.problem);
    const steps = await planWhole(config, stack, batch);
    if (steps.length === 0) {
        config.write({ hold: [] });
        console.log(`every server of ${stack} matches the config: nothing to do`);
        return;
    }
    let replaced = 0;
    for (const [i, step] of steps.entries()) {
        if (i > 0 && pause && !(await confirm(`next: ${step.title}. Go on?`))) {
            console.log(`${replaced} replaced; next is ${step.title}: run this again to go on`);
            return;
        }
        const stepStarted = Date.now();
        console.log(`${step.title}${step.hold.length > 0 ? `, ${serverNames(step.hold)} held` : ""}`);
        config.write({ hold: step.hold });
        const problem = (await upOrClear(stack, { quiet }))?.problem ?? (await sickServers(stack));
        if (problem !== undefined) throw new Error(failure(step, problem));
        replaced += step.replaces.length;
        console.log(`${step.title}: done in ${timeSince(stepStarted)}, every server of the stack answers`);
    }
    console.log(`${replaced} replaced in ${timeSince(started)}`);
}

/**
 * What is to be done, said before anything is done.
 *
 * @throws Error if `make plan` refuses the whole, a limit of policy/limits.yaml among it.
 */
async function planWhole(config: StackConfig, stack: string, batch: number): Promise<Step[]> {
    const { plan, document, state, live } = await config.with({ hold: [] }, (flags) =>
        readPlan(stack, flags),
    );
    // For how many droplets there is room depends on the batches: that is counted below.
    const refusals = plan.refusals.filter((text) => text !== roomProblem(plan)?.text);
    if (refusals.length > 0) throw new Error(refusalOf(refusals));
    const left = live && leftOf(live);
    const waiting = left?.waiting.map(slotOf) ?? [];
    // The state does not know what serves after a run that ended before its haproxy.cfg was applied; HAProxy does.
    const withWaiting = (preview: PoolChanges): PoolChanges => ({
        ...preview,
        notServing: preview.replaced.filter(
            (slot) => preview.notServing.includes(slot) || waiting.includes(slot),
        ),
    });
    const whole = withWaiting(poolChanges(document));
    const batches = planBatches(whole, config.readSlots("hold"), batch);
    const serving = holdDuring(batches, -1);
    const first = serving.length > 0 ? withWaiting(await previewHeld(config, stack, serving)) : whole;
    const situation = { whole, first, leftovers: state.leftovers, batches };
    const steps = planSteps(situation);
    // What the doctor would delete, and this change does not use.
    const unused = whole.replaced.filter((slot) => waiting.includes(slot)).length;
    const idle = { droplets: (left?.idle.length ?? 0) + unused, stack };
    const needed = dropletsNeeded(situation, steps);
    const tooMany = limitProblem({ ...(await readDropletRoom()), ...needed, idle }, batch);
    if (tooMany !== undefined) throw new Error(tooMany);
    for (const line of announcement(situation, steps)) console.log(line);
    return steps;
}

/** What `pulumi up` would do with another `hold`. */
function previewHeld(config: StackConfig, stack: string, hold: readonly number[]): Promise<PoolChanges> {
    return config.with({ hold }, async (flags) => {
        const document = await readPreviewDocument(["--stack", stack, ...flags]);
        if (document.errors.length > 0) throw new Error(document.errors.join("\n"));
        return poolChanges(document);
    });
}

/** Names the servers of the stack that don't pass HAProxy's checks; `undefined` if there are none. */
async function sickServers(stack: string): Promise<string | undefined> {
    const outputs = await readOutputs(stack);
    const deadline = Date.now() + checkSeconds * 1000;
    for (;;) {
        const { servers = [] } = await readHaproxy(outputs);
        const sick = outputs.servers.flatMap(({ name, privateIp }) => {
            const seen = servers.find(({ address }) => address === privateIp);
            // UP alone is no proof: after a reload HAProxy takes every server for UP until it has asked.
            if (seen?.isUp && seen.check === "L7OK") return [];
            return [`${name} (${seen ? `${seen.status}, last check ${seen.check}` : "not in service"})`];
        });
        if (sick.length === 0) return undefined;
        if (Date.now() > deadline) return `HAProxy's checks fail for ${some(sick, 10, ", ")}`;
        await sleep(500);
    }
}

function failure({ title, hold }: Step, problem: string): string {
    const held = hold.length > 0 ? `As before: ${serverNames(hold)}. ` : "";
    return `${problem}
stopped at: ${title}. ${held}What served before still serves.
To go on, fix what was wrong, if anything was, and run this again; to roll back, put the old value back first.`;
}
