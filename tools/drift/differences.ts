import { stringify } from "yaml";
import { unifiedDiff } from "../cli/diff";
import { isAdminHost, isLoadBalancer, names, slotOf, types } from "../../lib/identity";
import { canonical, type PreviewStep } from "../pulumi/preview";
import type { Condition } from "../live/condition";
import { findHaproxy, type RunningHaproxy } from "../live/haproxy-check";
import type { Live, LiveDroplet } from "../live/pool";
import { leftOf, sayLeft } from "../live/left";
import type { Orphan } from "../live/orphans";
import { some } from "../cli/words";
import type { Leftover, StagedHaproxy } from "../pulumi/state";

type DriftKind =
    | "gone"
    | "changed"
    | "off"
    | "orphan"
    | "haproxy"
    | "certificate"
    | "updates"
    | "release"
    | "unfinished";

export interface Drift {
    kind: DriftKind;
    /** `Droplet`, `Firewall`, …; `haproxy.cfg`. */
    type: string;
    /** As Pulumi names it; for an orphan, as the account does. */
    name: string;
    id?: string;
    /** What is different, as the end of a sentence that begins with the thing. */
    message: string;
    /** What to do about it, in Markdown. */
    fix: string;
    /** Unified diff, from what Pulumi made to what is. */
    diff?: string;
}

export interface DriftReport {
    stack: string;
    differences: Drift[];
    unchecked: string[];
}

const refreshed = (stack: string) => `\`pulumi up --refresh --stack ${stack}\``;

/** What the provider finds changed or deleted. Secrets are masked in it already. */
export function engineDrift(steps: readonly PreviewStep[], stack: string): Drift[] {
    return steps.flatMap(({ op, type, name, before, after, differs }): Drift[] => {
        const thing = { type: type.split(":").at(-1) ?? type, name, ...(before?.id && { id: before.id }) };
        if (op === "delete") {
            const fix = `${refreshed(stack)} makes it again`;
            return [{ ...thing, kind: "gone", message: "is gone", fix }];
        }
        if (op !== "update") return [];
        const textOf = (outputs: Record<string, unknown> = {}) =>
            stringify(Object.fromEntries(differs.map((key) => [key, canonical(outputs[key])])));
        const message = `was changed: ${differs.join(", ")}`;
        const fix = `${refreshed(stack)} puts it back; if the change is right, put it into the program or the config first`;
        const diff = unifiedDiff(textOf(before?.outputs), textOf(after?.outputs), ["state", "account"]);
        return [{ ...thing, kind: "changed", message, fix, diff }];
    });
}

/** Whose condition it is. That packages are behind is one: nobody logs in, and nothing else would tell. */
const things = {
    certificate: { type: "Https", name: names.https },
    release: { type: "Content", name: names.content },
    updates: { type: "Droplet", name: names.loadBalancer },
};

export function conditionDrift(kind: keyof typeof things, condition: Condition | undefined): Drift[] {
    if (!condition?.problems.length) return [];
    const { subject, problems, fix } = condition;
    const message = subject ? problems.join("; it ") : `is not as it should be: ${problems.join("; ")}`;
    return [{ kind, ...things[kind], message, fix }];
}

/** Droplets that are there but do not run: the provider takes them for unchanged. */
export function offDrift(droplets: readonly LiveDroplet[], stack: string): Drift[] {
    return droplets.flatMap(({ urn, name, id, leaves, status }): Drift[] => {
        if (urn === undefined || leaves || (status !== "off" && status !== "archive")) return [];
        const slot = slotOf({ name });
        const instead =
            slot !== undefined
                ? `add ${slot} to \`retired\`: a new server takes its place`
                : `\`pulumi up --replace '${urn}' --stack ${stack}\`: ${isAdminHost({ name }) ? "a new one is made" : "a new one takes the address over"}`;
        const fix = `switch it on (\`doctl compute droplet-action power-on ${id}\`), or ${instead}`;
        return [{ kind: "off", type: "Droplet", name, id, message: "is switched off", fix }];
    });
}

/** What the account has of the stack, and its state does not know. Which of it still serves is the doctor's question. */
export function orphanDrift(orphans: readonly Orphan[], stack: string): Drift[] {
    const fix = `\`make doctor STACK=${stack}\` tells whether it serves, and deletes it if it does not`;
    return orphans
        .filter(({ verdict }) => verdict !== "tell")
        .map(({ kind, name, id }) => {
            const type = kind.charAt(0).toUpperCase() + kind.slice(1);
            return { kind: "orphan", type, name, id, message: "is not in the state", fix };
        });
}

/** How the load balancer's haproxy.cfg differs from the one that the state has. */
export function haproxyDrift(staged: StagedHaproxy, live: RunningHaproxy, stack: string): Drift[] {
    const found = findHaproxy(staged, live, stack);
    if (found === undefined) return [];
    const { verdict, message, fix } = found;
    const kind = verdict === "unfinished" ? "unfinished" : "haproxy";
    const diff = withoutPasswords(unifiedDiff(staged.text, live.text, ["state", "load balancer"]));
    return [{ kind, type: "haproxy.cfg", name: "load balancer", message, fix, ...(diff !== "" && { diff }) }];
}

/** What a run that did not end well left, with what serves and what waits. */
export function unfinishedDrift(live: Live, leftovers: readonly Leftover[], stack: string): Drift[] {
    const left = leftOf(live);
    const others = leftovers
        .filter(({ type }) => type !== types.droplet)
        .map(({ name }) => `the old ${name}`);
    const said = [sayLeft(left), others.length > 0 ? `to be deleted: ${some(others, 10, ", ")}` : undefined];
    const message = said.filter((part) => part !== undefined).join("; ");
    if (message === "") return [];
    const clears = left.waiting.length + left.idle.length > 0;
    const fix =
        `\`pulumi up --stack ${stack}\` goes on from there` +
        (clears ? `; \`make doctor STACK=${stack}\` first deletes what serves nobody` : "");
    return [{ kind: "unfinished", type: "Run", name: "of the stack", message, fix }];
}

/** Whether the load balancer itself is known to be away: that its haproxy.cfg can't be read is no news then. */
export function loadBalancerIsAway(differences: readonly Drift[]): boolean {
    return differences.some(
        ({ kind, type, name }) =>
            type === "Droplet" && isLoadBalancer({ name }) && (kind === "gone" || kind === "off"),
    );
}

/** 0: no difference. 2: some. 1: none was found, but not all could be looked at. */
export function exitCode({ differences, unchecked }: DriftReport): 0 | 1 | 2 {
    if (differences.length > 0) return 2;
    return unchecked.length > 0 ? 1 : 0;
}

/** What somebody wrote by hand may hold one, and the report goes where many read it. */
function withoutPasswords(text: string): string {
    return text.replace(/\b((?:insecure-)?password|auth|http_auth\S*)\s+\S.*$/gim, "$1 [secret]");
}
