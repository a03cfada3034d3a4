import { uptimeCheckMonthlyUsd } from "../../lib/alert-settings";
import { type Checked, readKeys, trafficKeys, trafficOf } from "../../config/settings";
import { sayAutoscale } from "../../lib/autoscale-words";
import { names, types } from "../../lib/identity";
import { factsOf } from "../../policy/facts";
import { checkRules, type Limits } from "../../policy/rules";
import { loadBalancerFile } from "../../userdata/files";
import { type Live, type LiveDroplet, pair, servingByState } from "../live/pool";
import { type Left, leftOf, leftoverName, partOf } from "../live/left";
import type { PreviewDocument, ResourceState } from "../pulumi/preview";
import type { StackState } from "../pulumi/state";
import { type Change, find, listChanges } from "./changes";
import { type HaproxyPlan, type HaproxySettings, planHaproxy } from "./haproxy";
import { roomProblem } from "./room";
import type { Draft, LeftDroplet, Plan, ServerPlan } from "./model";
import { listOthers } from "./others";
import { lossOf, secondsFor } from "./risk";
import {
    dropletAction,
    namesBefore,
    planServers,
    type PoolConfig,
    sizeOf,
    userDataDiff,
    whyDroplet,
} from "./servers";
import { settingsOf } from "./settings";
import { strangersAmong } from "./strangers";
import { summarize } from "./summary";
import { earlierRuns, warningsOf } from "./warnings";

export interface Sources {
    stack: string;
    document: PreviewDocument;
    state: StackState;
    account: AccountFacts;
    /** The stack as it is; without it, what serves is known from the state, where that says it. */
    live?: Live;
    /** Of this stack; without them nothing is judged. */
    limits: Limits | undefined;
    /** What keeps another run from starting, such as a lock; each with what to do. */
    obstacles: readonly string[];
}

export interface AccountFacts {
    /** Price in USD a month by size. */
    monthlyPrices: ReadonlyMap<string, number>;
    /** `null` if it could not be asked. */
    droplets: Plan["droplets"]["account"];
}

/** The plan of a change, out of what was read; without side effects. */
export function buildPlan(sources: Sources): Plan {
    const { stack, document, state, limits, obstacles } = sources;
    const config = readConfig(document.config);
    const refused = document.errors.length > 0;
    // What was refused shows what there is: nothing will be touched.
    const changes = listChanges(refused ? [] : document.steps, state.resources);
    const left = findLeft(sources);
    const list = planServers(changes, config, left);
    const haproxy = planHaproxy(changes, config.traffic);
    const plan = draft(sources, changes, config, { left, list, haproxy });
    const lostRequests = lossOf(changes, plan, config.traffic.drainSeconds);
    const policy = checkLimits(changes, plan, namesBefore(list, left), refused ? undefined : limits);
    const room = roomProblem(plan);
    const broken = (isAdvisory: boolean) =>
        policy.violations
            .filter(({ advisory }) => advisory === isAdvisory)
            .map(({ rule, text }) => `${rule}: ${text}`);
    const refusals = [
        ...document.errors,
        ...strangersAmong(changes, stack),
        ...broken(false),
        ...(room && !room.canBeMet ? [room.text] : []),
    ];
    const planned = `${refusals.length > 0 ? "refused: " : ""}${summarize(plan, lostRequests)}`;
    const warnings = [
        ...obstacles,
        ...earlierRuns(stack, { pending: state.pending, isCutOff: haproxy.interrupted && !refused, left }),
        ...(refused ? [] : warningsOf(plan, changes)),
        ...broken(true),
        ...(room?.canBeMet ? [room.text] : []),
        ...document.warnings,
    ];
    return {
        ...plan,
        summary: refused ? "refused, nothing will be touched" : planned,
        applicable: refusals.length === 0,
        refusals,
        lostRequests,
        seconds: secondsFor(plan, config.traffic.drainSeconds),
        warnings,
        policy,
    };
}

function draft(
    { stack, document, state, account }: Sources,
    changes: readonly Change[],
    { userDataFile, autoscale }: Config,
    { left, list, haproxy }: { left: Left; list: ServerPlan[]; haproxy: HaproxyPlan },
): Draft {
    const leftDroplets = state.leftovers.filter(({ type }) => type === types.droplet);
    const { image, imageIs } = find(changes, types.pool, names.pool)?.after?.inputs ?? {};
    return {
        version: 1,
        stack,
        changes: state.leftovers.length > 0 || changes.some(({ action }) => action !== "same"),
        settings: settingsOf(changes, document.config, userDataFile),
        ...(autoscale && { autoscale }),
        ...(typeof imageIs === "string" && { image: `${String(image)} is ${imageIs}` }),
        servers: {
            before: namesBefore(list, left).length,
            after: list.filter(({ action }) => action !== "delete").length,
            list,
        },
        loadBalancer: planLoadBalancer(changes, haproxy.runs),
        others: listOthers(changes),
        leftovers: state.leftovers.map(leftoverName).sort(),
        left: [...left.serving, ...left.waiting, ...left.idle].map(asLeft),
        monthlyCost: costOf(changes, leftDroplets, account),
        droplets: countDroplets(changes, leftDroplets.length, account),
        haproxyDiff: haproxy.diff,
        userDataDiff: userDataDiff(changes),
    };
}

/** Holds what will be against the limits of the stack. @param limits Without them nothing is judged. */
function checkLimits(
    changes: readonly Change[],
    { monthlyCost }: Draft,
    serversBefore: string[],
    limits: Limits | undefined,
): Plan["policy"] {
    const resources = changes
        .filter(({ action }) => action !== "delete")
        .map(({ urn, after }) => ({ urn, properties: { ...after?.inputs } }));
    if (!limits || resources.length === 0) return { violations: [], unjudged: [] };
    const cost = { monthlyCost: monthlyCost.after ?? undefined };
    return checkRules({ ...factsOf(resources), serversBefore, ...cost }, limits);
}

function findLeft({ live, state, account }: Sources): Left {
    const seen = live ?? { haproxy: undefined, droplets: pair(state, undefined, servingByState(state)) };
    const priced = seen.droplets.map((droplet) => ({
        ...droplet,
        monthlyCost: droplet.monthlyCost ?? account.monthlyPrices.get(droplet.size),
    }));
    return leftOf({ ...seen, droplets: priced });
}

function asLeft(droplet: LiveDroplet): LeftDroplet {
    const { name, id, leaves, serves = null, monthlyCost = null } = droplet;
    return { name, id, leaves, serves, what: partOf(droplet), monthlyCost };
}

interface Config extends PoolConfig {
    traffic: HaproxySettings;
    /** In words; `undefined` where it is off. */
    autoscale: string | undefined;
}

/** By the program's own rules. What the program has refused is as if nothing were to change. */
function readConfig(raw: Readonly<Record<string, string>>): Config {
    const { values } = readKeys(planKeys, raw);
    const all = { ...unread, ...values };
    const { autoscale, acmeEmail } = all;
    const { https, ...traffic } = trafficOf(all);
    const thumbprint = acmeEmail !== "" && { thumbprint: "<thumbprint of the account key>" };
    return {
        ...all,
        userDataFile: `userdata/${raw.userdata ?? ""}`,
        autoscale: autoscale && sayAutoscale(autoscale),
        traffic: { ...traffic, ...(https && { https: { ...https, ...thumbprint } }) },
    };
}

const planKeys = [
    ...(["replicas", "retired", "hold", "size", "image", "autoscale", "acmeEmail"] as const),
    ...trafficKeys,
];

const unread: Checked<(typeof planKeys)[number]> = {
    ...{ replicas: 0, retired: [], hold: [], size: "", image: "", autoscale: undefined, acmeEmail: "" },
    ...{ appPort: 0, healthPath: "", healthHost: "", serverTimeoutSeconds: 0, drainSeconds: 0 },
    ...{ trustedProxies: [], logOneIn: 0, domains: [], httpsRedirect: false, hsts: 0, metricsSources: [] },
};

function planLoadBalancer(changes: readonly Change[], haproxyRuns: boolean): Plan["loadBalancer"] {
    const droplet = find(changes, types.droplet, names.loadBalancer);
    return {
        action: droplet ? dropletAction(droplet) : "keep",
        why: droplet ? whyDroplet(droplet, `userdata/${loadBalancerFile}`) : [],
        size: sizeOf(droplet?.after ?? droplet?.before) ?? "?",
        haproxyRuns,
    };
}

/** Made beside what it replaces. */
const isMade = ({ action, deletedFirst }: Change): boolean =>
    action === "create" || (action === "replace" && !deletedFirst);

function countDroplets(changes: readonly Change[], left: number, account: AccountFacts): Plan["droplets"] {
    const droplets = changes.filter(({ type }) => type === types.droplet);
    const before = droplets.filter(({ before }) => before).length + left;
    return {
        before,
        whileRunning: before + droplets.filter(isMade).length,
        after: droplets.filter(({ after }) => after).length,
        account: account.droplets,
    };
}

function costOf(
    changes: readonly Change[],
    left: readonly ResourceState[],
    { monthlyPrices }: AccountFacts,
): Plan["monthlyCost"] {
    const cost = (droplets: readonly ResourceState[], isChecked: boolean): number | null => {
        const prices = droplets.map((droplet) => monthlyPrices.get(sizeOf(droplet) ?? ""));
        if (prices.includes(undefined)) return null;
        const check = isChecked ? uptimeCheckMonthlyUsd : 0;
        return cents(prices.reduce<number>((sum, price = 0) => sum + price, check));
    };
    const droplets = changes.filter(({ type }) => type === types.droplet);
    const checks = changes.filter(({ type }) => type === types.uptimeCheck);
    const wasChecked = checks.some(({ before }) => before);
    const isChecked = checks.some(({ after }) => after);
    const old = [...droplets.flatMap(({ before }) => before ?? []), ...left];
    const next = (made: readonly Change[]) => made.flatMap(({ after }) => after ?? []);
    const [before, after] = [cost(old, wasChecked), cost(next(droplets), isChecked)];
    return {
        before,
        after,
        difference: before === null || after === null ? null : cents(after - before),
        whileRunning: cost([...old, ...next(droplets.filter(isMade))], wasChecked || isChecked),
    };
}

/** Prices such as 7.2 don't add up exactly. */
const cents = (amount: number): number => Math.round(amount * 100) / 100;
