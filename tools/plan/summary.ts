import type { Draft, Loss, ServerPlan } from "./model";
import { arrow, count, dollars } from "../cli/words";

export function summarize(plan: Draft, loss: Loss): string {
    const { servers, monthlyCost: cost, loadBalancer, others, leftovers } = plan;
    const money = `${arrow(cost.before, cost.after, dollars)} a month`;
    if (!plan.changes) return `nothing to do: ${count(servers.after, "server")}, ${money}`;
    if (servers.before === 0 && loadBalancer.action === "create")
        return `first deployment: ${count(servers.after, "server")} and a load balancer, ${money}`;
    const parts = [
        `${arrow(servers.before, servers.after)} ${servers.after === 1 ? "server" : "servers"}`,
        ...whatHappens(servers.list),
        ...(loadBalancer.action === "replace" ? ["load balancer replaced"] : []),
        ...(loadBalancer.action === "create" ? ["load balancer made again"] : []),
    ];
    if (parts.length === 1 && servers.before === servers.after) {
        if (plan.haproxyDiff !== "") parts.push("new haproxy.cfg");
        if (others.some(({ kind }) => kind === "firewall")) parts.push("firewall changed");
    }
    if (leftovers.length > 0) parts.push(`${count(leftovers.length, "leftover")} deleted`);
    return [...parts, money, lost[loss.which]].join(", ");
}

/** What the number of servers does not say. */
function whatHappens(list: readonly ServerPlan[]): string[] {
    const named = (action: ServerPlan["action"]) =>
        list.filter((server) => server.action === action).map(({ name }) => name);
    const [made, gone] = [named("create"), named("delete")];
    const [replaced, changed] = [named("replace"), named("update")];
    const before = list.length - made.length;
    const swapped =
        made.length > 2 ? `${made.length} swapped` : `${made.join(" and ")} for ${gone.join(" and ")}`;
    return [
        made.length > 0 && made.length === gone.length && swapped,
        replaced.length > 0 && (replaced.length === before ? "all replaced" : `${replaced.length} replaced`),
        changed.length > 0 && `${changed.length} changed in place`,
    ].filter((text) => text !== false);
}

const lost: Record<Loss["which"], string> = {
    none: "no request lost",
    "in-flight": "requests in flight lost",
    all: "every request lost for a time",
    unknown: "lost requests can't be ruled out",
};
