import {
    isAdminHost,
    isComponent,
    isLoadBalancer,
    isOfAdminHost,
    isOfContent,
    isServer,
    types,
} from "../../lib/identity";
import { some } from "../cli/words";
import type { Action, Change } from "./changes";
import type { Draft, Loss, Plan } from "./model";

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
const harmless = { ...changedTogether, delete: "none" } as const;

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
    [types.monitorAlert]: { kind: "alert", costs: harmless },
    [types.uptimeCheck]: { kind: "uptime check", costs: harmless },
    [types.uptimeAlert]: { kind: "uptime alert", costs: harmless },
    [types.remoteCommand]: { kind: "command on the load balancer", costs: harmless },
    [types.localCommand]: { kind: "key pair", costs: changedTogether },
};

const adminHostKind = "admin host";

/** In words: `firewall`; the engine's type for what this program does not make. */
export function kindOfChange(change: Pick<Change, "type" | "name">): string {
    return isAdminHost(change) ? adminHostKind : (resourceKinds[change.type]?.kind ?? change.type);
}

/** Whether requests can be lost, as the table of docs/changes.md says. */
export function lossOf(changes: readonly Change[], plan: Draft, drainSeconds: number): Loss {
    const { servers, loadBalancer } = plan;
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
        if (action === "replace")
            return {
                which: "in-flight",
                why:
                    "those on the first load balancer when the address moves to the second, and the next one on each " +
                    "kept-alive connection",
            };
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

export function secondsFor(plan: Draft, drainSeconds: number): Plan["seconds"] {
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
