import { uptimeCheckMonthlyUsd } from "../../lib/alert-policies";
import {
    isAdminHost,
    isComponent,
    isLoadBalancer,
    isOfAdminHost,
    isOfAlerts,
    isOfContent,
    isServer,
    types,
} from "../../lib/identity";
import { unknownValue } from "../../policy/facts";
import { compareTexts, dollars, some } from "../cli/words";
import type { ResourceState } from "../pulumi/preview";
import type { Action, Change } from "./changes";
import type { Loss, OtherChange, Plan } from "./model";

/** What an action on a resource costs. */
type Cost = Loss["which"];

/** From harmless to worst. */
const costs: Cost[] = ["none", "in-flight", "unknown", "all"];

/** What is known of a type of resource: each action that is not here may cost anything. */
interface Kind {
    /** What people call it. */
    kind: string;
    costs: Partial<Record<Action, Cost>>;
    /** What the worst of them means. */
    meaning?: string;
}

const changedTogether = { create: "none", update: "none", replace: "none" } as const;

/** Everything that the program makes; what is not here is named by its type. */
const resourceKinds: Record<string, Kind> = {
    [types.droplet]: { kind: "droplet", costs: { create: "none", delete: "none", replace: "none" } },
    [types.firewall]: { kind: "firewall", costs: { create: "none", update: "none" } },
    [types.tag]: { kind: "tag", costs: { create: "none" } },
    [types.vpc]: {
        kind: "VPC",
        costs: { create: "none", update: "none", replace: "all" },
        meaning: "the VPC goes, with all that is in it, before there is another",
    },
    [types.sshKey]: { kind: "SSH key", costs: changedTogether },
    [types.reservedIp]: {
        kind: "reserved IP",
        costs: { create: "none", replace: "all", delete: "all" },
        meaning: "the address changes",
    },
    // Replaced, it is the address that moves to another load balancer, which says so itself.
    [types.reservedIpAssignment]: {
        kind: "assignment of the reserved IP",
        costs: { create: "none", replace: "none", delete: "all" },
        meaning: "the address leads nowhere",
    },
    [types.dnsRecord]: {
        kind: "DNS record",
        costs: { create: "none", update: "none", replace: "unknown", delete: "unknown" },
        meaning: "the name leads nowhere, or elsewhere",
    },
    // No request comes to any of them.
    [types.monitorAlert]: { kind: "alert", costs: { ...changedTogether, delete: "none" } },
    [types.uptimeCheck]: { kind: "uptime check", costs: { ...changedTogether, delete: "none" } },
    [types.uptimeAlert]: { kind: "uptime alert", costs: { ...changedTogether, delete: "none" } },
    [types.remoteCommand]: {
        kind: "command on the load balancer",
        costs: { ...changedTogether, delete: "none" },
    },
    [types.localCommand]: { kind: "key pair", costs: changedTogether },
};

export const adminHostKind = "admin host";
export const contentKind = "content";

/** What changes that is neither a droplet of the site nor only a record in the state. */
export function listOthers(changes: readonly Change[]): OtherChange[] {
    return changes.flatMap((change) => {
        const { action, type, name, reasons } = change;
        if (type === types.content && action !== "same")
            return [
                {
                    action,
                    kind: contentKind,
                    name: folderOf(change) ?? name,
                    what: contentDifference(change),
                },
            ];
        if (isOfContent(change.urn)) return [];
        const isOfSite = type === types.droplet && !isAdminHost(change);
        if (action === "same" || isOfSite || isComponent(type)) return [];
        const what = isOfAlerts(change.urn)
            ? alertDifference(change)
            : reasons.flatMap((input) => (input === "inboundRules" ? inboundDifference(change) : [input]));
        return [{ action, kind: kindOf(change), name, what }];
    });
}

function kindOf(change: Change): string {
    return isAdminHost(change) ? adminHostKind : (resourceKinds[change.type]?.kind ?? change.type);
}

/** What it tells of, in the words that people will get; what a check asks, and costs; whether others are told. */
function alertDifference({ type, action, before, after, reasons }: Change): string[] {
    const { description, name, target } = (action === "delete" ? before : after)?.inputs ?? {};
    const words = String(description ?? name).replace(/^[^:]*: /, "");
    const cost = `${dollars(uptimeCheckMonthlyUsd)} a month`;
    const site = action === "delete" ? [cost] : [typeof target === "string" ? target : "", cost];
    return [
        words,
        ...(type === types.uptimeCheck && action !== "update" ? site : []),
        ...(action === "update" && reasons.includes("target") ? [String(target)] : []),
        ...(action === "update" && reasons.some((key) => ["alerts", "notifications"].includes(key))
            ? ["other receivers"]
            : []),
    ].filter((text) => text !== "" && text !== unknownValue);
}

function folderOf({ before, after }: Change): string | undefined {
    const folder = (after ?? before)?.inputs?.content;
    return typeof folder === "string" ? folder : undefined;
}

/** Which release follows which, and what of it differs. */
function contentDifference({ before, after }: Change): string[] {
    const release = (state: ResourceState | undefined) =>
        typeof state?.inputs?.release === "string" ? state.inputs.release : "none";
    const [old, next] = [before, after].map(
        (state) => (state?.inputs?.parts ?? {}) as Record<string, string>,
    );
    const differing = Object.keys({ ...old, ...next })
        .filter((part) => old?.[part] !== next?.[part])
        .sort(compareTexts)
        .map((part) => `${old?.[part] === undefined ? "+" : next?.[part] === undefined ? "-" : "~"}${part}`);
    if (release(before) === release(after)) return ["the same release again"];
    return [`release ${release(before)} → ${release(after)}: ${some(differing, 6, " ")}`];
}

interface InboundRule {
    portRange?: string;
    sourceAddresses?: string[];
    sourceTags?: string[];
}

/** `port 22 from 198.51.100.7/32 → 203.0.113.0/24`. */
function inboundDifference({ before, after }: Change): string[] {
    const [old, next] = [
        sourcesByPort(before?.inputs?.inboundRules),
        sourcesByPort(after?.inputs?.inboundRules),
    ];
    const ports = [...new Set([...old.keys(), ...next.keys()])].sort(compareTexts);
    return ports.flatMap((port) => {
        const [from, to] = [old.get(port) ?? "nobody", next.get(port) ?? "nobody"];
        return from === to ? [] : [`port ${port} from ${from} → ${to}`];
    });
}

function sourcesByPort(rules: unknown): Map<string, string> {
    const list = Array.isArray(rules) ? (rules as InboundRule[]) : [];
    const sources = new Map<string, string[]>();
    for (const { portRange = "all", sourceAddresses = [], sourceTags = [] } of list)
        sources.set(portRange, [...(sources.get(portRange) ?? []), ...sourceAddresses, ...sourceTags]);
    return new Map([...sources].map(([port, from]) => [port, from.toSorted(compareTexts).join(", ")]));
}

/** Whether requests can be lost, as the table of docs/changes.md says. */
export function lossOf(
    changes: readonly Change[],
    { servers, loadBalancer }: Pick<Plan, "servers" | "loadBalancer">,
    drainSeconds: number,
): Loss {
    const restarts = plannedRestart(changes);
    if (loadBalancer.action === "create") return restarts[0] ?? { which: "none", why: "nothing serves yet" };
    if (servers.before > 0 && servers.after === 0)
        return { which: "all", why: "without a server every request gets the 503 page" };
    const happens = changes.filter(({ action, type }) => action !== "same" && !isComponent(type));
    const found = [...happens.map(costOf), ...restarts];
    const worst = costs.findLast((cost) => found.some(({ which }) => which === cost)) ?? "none";
    const reasons = [...new Set(found.filter(({ which }) => which === worst).map(({ why }) => why))];
    if (worst !== "none") return { which: worst, why: some(reasons, 4, "; ") };
    const bound = `what takes longer than drainSeconds (${drainSeconds} s), and tunnels such as WebSockets, are cut`;
    return { which: "none", why: loadBalancer.haproxyRuns ? bound : "" };
}

/** New machines whose user data has them restart: nobody knows whether that is before they serve or while they do. */
function plannedRestart(changes: readonly Change[]): Loss[] {
    const made = changes.filter(
        ({ type, action }) => type === types.droplet && (action === "create" || action === "replace"),
    );
    const planned = changes.flatMap(({ type, after }) => {
        const isMade = made.some(type === types.loadBalancer ? isLoadBalancer : isServer);
        const lines = after?.inputs?.plannedRestarts;
        return isMade && Array.isArray(lines) ? lines.map(String) : [];
    });
    if (planned.length === 0) return [];
    const why = `the user data plans a restart, nobody knows when: ${some(planned, 4, "; ")}`;
    return [{ which: "unknown", why }];
}

function costOf(change: Change): Loss {
    const { action, type, name, reasons, deletedFirst } = change;
    const { kind, costs, meaning } = resourceKinds[type] ?? { kind: type, costs: {} };
    if (isOfAdminHost(change.urn) || isOfContent(change.urn)) return { which: "none", why: "" };
    const what = `${kind} ${name} is ${done[action]}${reasons.length > 0 ? ` (${reasons.join(", ")})` : ""}`;
    if (type === types.droplet && deletedFirst)
        return { which: "all", why: "droplets are deleted before their successors are made" };
    if (isLoadBalancer(change)) {
        if (action === "replace") return movedAddress;
        return { which: action === "delete" ? "all" : "unknown", why: what };
    }
    // Whom a firewall guards: for a moment old and new names are out of step.
    const isRenamed = type === types.firewall && reasons.includes("tags");
    const which = isRenamed ? "unknown" : (costs[action] ?? "unknown");
    return { which, why: which === "all" ? (meaning ?? what) : what };
}

const done: Record<Action, string> = {
    create: "made",
    update: "changed",
    replace: "replaced",
    delete: "deleted",
    same: "as before",
};

const movedAddress: Loss = {
    which: "in-flight",
    why:
        "those on the first load balancer when the address moves to the second, and the next one on each kept-alive " +
        "connection",
};

/**
 * Least and most of what each part of an `up` waits for, in seconds. The least are the waits that the official provider
 * always makes, and what `make bench` measured where machines boot in seconds; the most, what a droplet with packages
 * to install takes on a slow day. The drain ends with the last request, at the latest after drainSeconds.
 * https://github.com/digitalocean/terraform-provider-digitalocean (Delay of each StateChangeConf), test/bench/RESULTS.md
 */
const waits = {
    engine: [5, 15],
    /** Droplets boot, run cloud-init and answer, any number at once. */
    newDroplets: [15, 120],
    reload: [5, 10],
    addressMoves: [10, 20],
    adminHost: [10, 60],
    oldDroplets: [10, 40],
    anythingElse: [1, 10],
} as const;

export function secondsFor(
    plan: Pick<Plan, "changes" | "servers" | "loadBalancer" | "others" | "leftovers">,
    drainSeconds: number,
): Plan["seconds"] {
    const { servers, loadBalancer, others, leftovers } = plan;
    if (!plan.changes) return { from: 0, to: 0 };
    const does = (wanted: Action) => [...servers.list, loadBalancer].some(({ action }) => action === wanted);
    const makesAdminHost = others.some(({ kind, action }) => kind === adminHostKind && action !== "delete");
    const reloads = loadBalancer.haproxyRuns && loadBalancer.action === "keep";
    const parts: (readonly [number, number])[] = [
        waits.engine,
        ...(does("create") || does("replace") ? [waits.newDroplets] : []),
        ...(reloads ? [waits.reload, [0, drainSeconds] as const] : []),
        ...(["create", "replace"].includes(loadBalancer.action) ? [waits.addressMoves] : []),
        ...(does("delete") || does("replace") || leftovers.length > 0 ? [waits.oldDroplets] : []),
        ...(makesAdminHost ? [waits.adminHost] : []),
        ...(others.length > 0 ? [waits.anythingElse] : []),
    ];
    const sum = (end: 0 | 1) => parts.reduce((total, part) => total + part[end], 0);
    return { from: sum(0), to: sum(1) };
}
