import { commandNames, httpsCommandNames, names, readyName } from "../../lib/identity";
import type { DropletAction, LeftDroplet, OtherChange, Plan } from "./model";
import { about, arrow, count, costDifference, dollars } from "../cli/words";
import { leftoverName } from "../live/left";

/** A line of the plan's table: things to which the same happens for the same reason. */
export interface PlanRow {
    /** `keep`: nothing happens to it. */
    action: DropletAction;
    label: string;
    names: string[];
    /** What they are, where there are no names or the names don't say it. */
    kind: string;
    why: string[];
    size: string;
}

const labels: Record<DropletAction, string> = {
    create: "new",
    replace: "replaced",
    update: "changed",
    delete: "leaves",
    keep: "stays",
};

const order: DropletAction[] = ["create", "replace", "update", "delete", "keep"];

/** The table: servers, the load balancer, and whatever else changes. A thousand servers are a few lines. */
export function planRows(plan: Plan): PlanRow[] {
    const servers = plan.servers.list.map(({ action, name, why, size }) => row(action, name, why, size));
    const byName = new Map(plan.left.map((droplet) => [leftoverName(droplet), droplet]));
    const left = plan.leftovers.map((name) => leftoverRow(name, byName.get(name)));
    return [
        ...grouped(servers).sort((a, b) => order.indexOf(a.action) - order.indexOf(b.action)),
        ...loadBalancerRow(plan),
        ...grouped(left),
        ...otherRows(plan),
    ];
}

function leftoverRow(name: string, droplet: LeftDroplet | undefined): PlanRow {
    const why = ["left by a run that did not end well"];
    if (!droplet) return { ...row("delete", name, why), label: "deleted" };
    const cost = droplet.serves === false ? [`${dollars(droplet.monthlyCost)} a month`] : [];
    const label = droplet.serves === false ? "deleted" : "deleted last";
    return { ...row("delete", name, [droplet.what, ...why, ...cost]), label };
}

const row = (action: DropletAction, name: string, why: string[], size = "", kind = ""): PlanRow => ({
    action,
    label: labels[action],
    names: [name],
    kind,
    why,
    size,
});

function grouped(rows: readonly PlanRow[]): PlanRow[] {
    const groups = new Map<string, PlanRow>();
    for (const { names, ...rest } of rows) {
        const key = JSON.stringify(rest);
        groups.set(key, { ...rest, names: [...(groups.get(key)?.names ?? []), ...names] });
    }
    return [...groups.values()];
}

function loadBalancerRow({ loadBalancer, servers, haproxyDiff }: Plan): PlanRow[] {
    const { action, why, size, haproxyRuns } = loadBalancer;
    if (action === "keep" && servers.list.length === 0 && !haproxyRuns) return [];
    const then: Partial<Record<DropletAction, string>> = {
        keep: haproxyDiff === "" ? "haproxy.cfg is applied again, the same text" : "new haproxy.cfg, reload",
        replace: "then haproxy.cfg is applied to the new one, and the address moves to it",
    };
    const listens = action === "keep" ? listenersChanged(haproxyDiff) : [];
    const what = haproxyRuns && then[action] ? [then[action], ...listens] : [];
    return [row(action, names.loadBalancer, [...why, ...what], size)];
}

/** Ports come and go by the same reload; what a port's line says beside may change, too. */
function listenersChanged(diff: string): string[] {
    const ports = (sign: string) =>
        [...diff.matchAll(new RegExp(`^\\${sign} {4}bind :(\\d+)`, "gm"))].map(([, port = ""]) => port);
    const [added, removed] = [ports("+"), ports("-")];
    return [
        ...added.filter((port) => !removed.includes(port)).map((port) => `listens on port ${port}, too`),
        ...removed.filter((port) => !added.includes(port)).map((port) => `listens on port ${port} no longer`),
    ];
}

function otherRows({ others, loadBalancer, servers }: Plan): PlanRow[] {
    const rest = others.filter((other) => !isSaid(other, loadBalancer.action));
    if (
        servers.before === 0 &&
        loadBalancer.action === "create" &&
        rest.every(({ action }) => action === "create")
    ) {
        const kinds = [...new Set(rest.map(({ kind }) => kind))];
        const counts = kinds.map((kind) => {
            const number = rest.filter((other) => other.kind === kind).length;
            return number === 1 ? kind : count(number, kind);
        });
        return counts.length > 0 ? [{ ...row("create", "", [], "", counts.join(", ")), names: [] }] : [];
    }
    return grouped(
        rest.map(({ action, kind, name, what }) => ({
            ...row(action, name, what, "", kind),
            ...(kind.startsWith("command") && action !== "delete" ? { label: "runs", why: [] } : {}),
            ...(action === "delete" ? { label: "deleted" } : {}),
        })),
    );
}

/** What the load balancer's own row says: it is set up, gets haproxy.cfg, and the address moves to it. */
function isSaid({ kind, name, action }: OtherChange, loadBalancer: DropletAction): boolean {
    if (action === "delete") return false;
    const made = loadBalancer === "create" || loadBalancer === "replace";
    if (kind === "command on the load balancer")
        return (
            Object.values(commandNames()).includes(name) ||
            [httpsCommandNames().script, httpsCommandNames().staged].includes(name) ||
            (made && [readyName(), ...Object.values(httpsCommandNames())].includes(name))
        );
    return made && kind === "assignment of the reserved IP";
}

/** What is to be said below the table, by a word; nothing for a plan that does nothing. */
export function figuresOf(plan: Plan): [string, string][] {
    if (!plan.changes) return [];
    const { monthlyCost: cost, lostRequests: loss } = plan;
    const change = cost.difference === 0 ? "" : ` (${costDifference(cost.difference)})`;
    const config = plan.settings.map(
        ({ key, before, after }) => `${key} ${before ?? "(none)"} → ${after ?? "(none)"}`,
    );
    const lines: [string, string][] = [
        ["config", config.join("; ")],
        ["image", plan.image ?? ""],
        ["autoscale", plan.autoscale ?? ""],
        ["cost", `${arrow(cost.before, cost.after, dollars)} a month${change}`],
        ["droplets", droplets(plan.droplets)],
        ["lost", loss.why === "" ? lost[loss.which] : `${lost[loss.which]}; ${loss.why}`],
        ["takes", about(plan.seconds)],
        ["policy", policy(plan)],
    ];
    return lines.filter(([, text]) => text !== "");
}

const lost: Record<Plan["lostRequests"]["which"], string> = {
    none: "no request",
    "in-flight": "requests in flight",
    all: "every request, for a time",
    unknown: "not known",
};

function droplets({ before, whileRunning, after, account }: Plan["droplets"]): string {
    const most = whileRunning > Math.max(before, after) ? `, ${whileRunning} while it runs` : "";
    const room = account ? `; the account has ${account.existing} of ${account.limit}` : "";
    return `${arrow(before, after)}${most}${room}`;
}

function policy({ policy: { violations, unjudged }, applicable }: Plan): string {
    const rules = [...new Set(unjudged.map(({ rule }) => rule))];
    const open = rules.length === 0 ? "" : `; not judged: ${rules.join(", ")}`;
    if (violations.length > 0) return `${count(violations.length, "limit")} broken${open}`;
    return applicable ? `within policy/limits.yaml${open}` : "";
}
