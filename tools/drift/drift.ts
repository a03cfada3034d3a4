import { apiAddress, useAccountOf } from "../live/api";
import { describeLock, readUnseenLocks, readStack, type Stack } from "../pulumi/stack";
import {
    conditionDrift,
    type Drift,
    type DriftReport,
    engineDrift,
    exitCode,
    haproxyDrift,
    loadBalancerIsAway,
    offDrift,
    orphanDrift,
    unfinishedDrift,
} from "./differences";
import { driftJson, driftMarkdown, driftText } from "./report";
import { knownTo, readDroplets, readInventory } from "../live/account";
import { type Live, readLive } from "../live/pool";
import { maskAll } from "../cli/mask";
import { findOrphans } from "../live/orphans";
import { readPreviewDocument } from "../pulumi/preview";
import { type ReportOptions, writeReports } from "../cli/reports";
import { readOutputs, readPulumi } from "../pulumi/run";
import { parseState, type StackState, stagedHaproxy } from "../pulumi/state";
import { strangersIn } from "../plan/strangers";
import { coloursFor } from "../cli/terminal";
import { certificateCondition } from "../live/certificate";
import { contentCondition } from "../live/releases";
import { updatesCondition } from "../live/updates";
import { types } from "../../lib/identity";

/**
 * What of the real world is not as Pulumi last made it. Changes nothing, the state neither. The program does not run: a
 * change of the config that is not applied yet is no drift.
 */
export async function drift(name: string, options: ReportOptions): Promise<number> {
    const stack = await readStack(name, () => Promise.resolve(false));
    await useAccountOf(name);
    // What a run is just making would look like drift.
    const [lock] = await readUnseenLocks(stack);
    if (lock)
        throw new Error(
            `${describeLock(lock, name)}, and that run can't be seen from here: \`make doctor STACK=${name}\` clears it if the run is dead`,
        );
    const report = maskAll(await examine(stack));
    writeReports(options, {
        markdown: driftMarkdown(report),
        json: driftJson(report),
        text: driftText(report, coloursFor(process.stdout)),
    });
    return exitCode(report);
}

/** Each part on its own: one that can't be looked at does not hide what the others find. */
async function examine(stack: Stack): Promise<DriftReport> {
    const { name } = stack;
    const exported = await readPulumi("stack", "export", "--stack", name);
    // A refresh acts on them as an `up` does.
    const strangers = strangersIn(exported, name, apiAddress());
    if (strangers.length > 0) throw new Error(strangers.join("\n"));
    const state = parseState(exported);
    const unchecked: string[] = [];
    const part = async (what: string, look: () => Promise<Drift[]>): Promise<Drift[]> => {
        try {
            return await look();
        } catch (error) {
            unchecked.push(`${what}: ${(error as Error).message}`);
            return [];
        }
    };
    const droplets = readDroplets();
    const live = readLive(stack, state, droplets);
    const found = await Promise.all([
        // https://www.pulumi.com/docs/iac/cli/commands/pulumi_refresh/
        part("what Pulumi made", async () => {
            const options = ["--preview-only", "--stack", name];
            const { errors, steps } = await readPreviewDocument(options, "refresh");
            if (errors.length > 0) throw new Error(errors.join("\n"));
            return engineDrift(steps, name);
        }),
        part("the account's droplets", async () => {
            const seen = await live;
            return [...offDrift(seen.droplets, name), ...unfinishedDrift(seen, state.leftovers, name)];
        }),
        part("what the state does not know", () => orphans(stack, state, droplets)),
    ]);
    const differences = found.flat();
    const report = { stack: name, differences, unchecked };
    // Once it is said that the load balancer is gone, its silence is no news.
    if (loadBalancerIsAway(differences)) return report;
    differences.push(...(await part("haproxy.cfg", async () => haproxy(name, state, await live))));
    // Where nothing was ever staged, there may be no load balancer to ask.
    if (!stagedHaproxy(state.resources)) return report;
    const outputs = readOutputs(name);
    const applied = state.resources.find(({ type }) => type === types.content)?.inputs?.release;
    differences.push(
        ...(await part("the certificate", async () =>
            conditionDrift("certificate", await certificateCondition(await outputs, name)),
        )),
        ...(await part("the content", async () =>
            conditionDrift("release", await contentCondition(await outputs, name, applied)),
        )),
        ...(await part("updates of the load balancer", async () =>
            conditionDrift("updates", await updatesCondition(await outputs, name)),
        )),
    );
    return report;
}

/** Nobody is asked what serves: that is the doctor's question. */
async function orphans(
    { name, prefix, vpcId }: Stack,
    state: StackState,
    droplets: ReturnType<typeof readDroplets>,
): Promise<Drift[]> {
    const inventory = await readInventory(prefix, droplets);
    const known = knownTo({ resources: [...state.resources, ...state.leftovers] });
    return orphanDrift(findOrphans({ prefix, inventory, vpcId, known }), name);
}

function haproxy(stack: string, state: StackState, live: Live): Drift[] {
    if (live.haproxy instanceof Error) throw live.haproxy;
    if (live.haproxy === undefined) return [];
    const staged = stagedHaproxy(state.resources);
    if (staged === undefined) throw new Error("the text in the state can't be read");
    return haproxyDrift(staged, live.haproxy, stack);
}
