import { commandNames, httpsCommandNames, types } from "../../lib/identity";
import type { OtherChange, Plan } from "../plan/model";
import { kindOfChange } from "../plan/risk";
import type { ConfigChange } from "./model";

/** What a plan does beside what was asked for: in the folder's files, or in the state, is somebody else's change. */
export function otherChanges(
    { settings, servers, loadBalancer, others }: Plan,
    change: ConfigChange,
): string[] {
    // Its own settings are no droplet's.
    const strange = settings.filter(({ key }) => !(key in change) && !/^autoscale(\.|$)/.test(key));
    const replaced = servers.list.filter(({ action }) => action === "replace" || action === "update");
    return [
        ...strange.map(({ key, before, after }) => `${key} ${before ?? "unset"} → ${after ?? "unset"}`),
        ...replaced.map(({ name, action, why }) => `${action} ${name} (${why.join(", ")})`),
        ...(loadBalancer.action === "keep" || "loadBalancerGeneration" in change
            ? []
            : [`${loadBalancer.action} load-balancer`]),
        ...others.filter((other) => !comesAlong(other, change)).map(sayOther),
    ];
}

const [commands, assignment] = [types.remoteCommand, types.reservedIpAssignment].map((type) =>
    kindOfChange({ type, name: "" }),
);
const scripts: string[] = [commandNames().script, httpsCommandNames().script];

/**
 * What comes with its own changes: haproxy.cfg with every one; with another load balancer all that runs there, and the
 * way to it. What a run that failed had yet to do there is done, too: what it should be, the settings say. Nothing is made
 * for the first time: a stack that was destroyed stays so.
 */
function comesAlong({ action, kind, name }: OtherChange, change: ConfigChange): boolean {
    const isNewFront = "loadBalancerGeneration" in change;
    const isChanged = action === "update" || action === "replace";
    if (kind === commands) return isChanged && (isNewFront || !scripts.includes(name));
    // A run that was cut off may have deleted it.
    if (kind === assignment) return isNewFront && action !== "delete";
    // Nothing in the account.
    return kind.startsWith("pulumi:providers:");
}

const sayOther = ({ action, kind, name, what }: OtherChange): string =>
    `${action} ${kind} ${name}${what.length > 0 ? ` (${what.join(", ")})` : ""}`;
