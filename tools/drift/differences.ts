import { stringify } from "yaml";
import { unifiedDiff } from "../cli/diff";
import { isLoadBalancer, names, slotOf, types } from "../../lib/identity";
import { canonical, type PreviewStep } from "../pulumi/preview";
import { findHaproxy } from "../live/haproxy-check";
import type { Live, LiveDroplet } from "../live/pool";
import type { LiveHaproxy } from "../live/haproxy";
import { leftOf, sayLeft } from "../live/left";
import type { Orphan } from "../live/orphans";
import { some } from "../cli/words";
import type { Leftover, StagedHaproxy } from "../pulumi/state";
import { describeUpdates, takeUpdates, type Updates } from "../live/updates";

export type DriftKind = "gone" | "changed" | "off" | "orphan" | "haproxy" | "updates" | "unfinished";

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
        if (op === "delete")
            return [
                { ...thing, kind: "gone", message: "is gone", fix: `${refreshed(stack)} makes it again` },
            ];
        if (op !== "update") return [];
        const some = (outputs: Record<string, unknown> = {}) =>
            stringify(Object.fromEntries(differs.map((key) => [key, canonical(outputs[key])])));
        return [
            {
                ...thing,
                kind: "changed",
                message: `was changed: ${differs.join(", ")}`,
                fix: `${refreshed(stack)} puts it back; if the change is right, put it into the program or the config first`,
                diff: unifiedDiff(some(before?.outputs), some(after?.outputs), ["state", "account"]),
            },
        ];
    });
}

/** Droplets that are there but do not run: the provider takes them for unchanged. */
export function offDrift(droplets: readonly LiveDroplet[], stack: string): Drift[] {
    return droplets.flatMap(({ urn, name, id, leaves, status }): Drift[] => {
        if (urn === undefined || leaves || (status !== "off" && status !== "archive")) return [];
        const slot = slotOf({ name });
        const instead =
            slot !== undefined
                ? `, or add ${slot} to \`retired\`: a new server takes its place`
                : `, or \`pulumi up --replace '${urn}' --stack ${stack}\`: a new one takes the address over`;
        return [
            {
                kind: "off",
                type: "Droplet",
                name,
                id,
                message: "is switched off",
                fix: `switch it on (\`doctl compute droplet-action power-on ${id}\`)${instead}`,
            },
        ];
    });
}

/** What the account has of the stack, and its state does not know. Which of it still serves is the doctor's question. */
export function orphanDrift(findings: readonly Orphan[], stack: string): Drift[] {
    return findings
        .filter(({ verdict }) => verdict !== "tell")
        .map(({ kind, name, id }) => ({
            kind: "orphan",
            type: kind.charAt(0).toUpperCase() + kind.slice(1),
            name,
            id,
            message: "is not in the state",
            fix: `\`make doctor STACK=${stack}\` says whether it serves, and deletes it if it does not`,
        }));
}

/** How the load balancer's haproxy.cfg differs from the one that the state has. */
export function haproxyDrift(
    staged: StagedHaproxy,
    live: Pick<LiveHaproxy, "text" | "generation">,
    stack: string,
): Drift[] {
    const found = findHaproxy(staged, live, stack);
    if (found === undefined) return [];
    return [
        {
            kind: found.verdict === "unfinished" ? "unfinished" : "haproxy",
            type: "haproxy.cfg",
            name: "load balancer",
            message: found.message,
            fix: found.fix,
            ...(live.text !== staged.text && {
                diff: withoutPasswords(unifiedDiff(staged.text, live.text, ["state", "load balancer"])),
            }),
        },
    ];
}

/** What a run that did not end well left, with what serves and what waits. */
export function unfinishedDrift(live: Live, leftovers: readonly Leftover[], stack: string): Drift[] {
    const left = leftOf(live);
    const others = leftovers
        .filter(({ type }) => type !== types.droplet)
        .map(({ name }) => `the old ${name}`);
    const said = [sayLeft(left), others.length > 0 ? `to be deleted: ${some(others, 10, ", ")}` : undefined];
    if (said.every((part) => part === undefined)) return [];
    const clears = left.waiting.length + left.idle.length > 0;
    return [
        {
            kind: "unfinished",
            type: "Run",
            name: "of the stack",
            message: said.filter(Boolean).join("; "),
            fix:
                `\`pulumi up --stack ${stack}\` goes on from there` +
                (clears ? `; \`make doctor STACK=${stack}\` first deletes what serves nobody` : ""),
        },
    ];
}

/** HAProxy is held, and nobody logs in: if not this, nothing says that it is behind. */
export function updatesDrift(updates: Updates, stack: string): Drift[] {
    const message = describeUpdates(updates);
    const fix = takeUpdates(updates, stack);
    return message === undefined
        ? []
        : [{ kind: "updates", type: "Droplet", name: names.loadBalancer, message, fix }];
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
