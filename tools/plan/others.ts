import { uptimeCheckMonthlyUsd } from "../../lib/alert-settings";
import { isAdminHost, isComponent, isOfAlerts, isOfContent, types } from "../../lib/identity";
import { unknownValue } from "../../policy/facts";
import { compareTexts, dollars, some } from "../cli/words";
import type { ResourceState } from "../pulumi/preview";
import type { Change } from "./changes";
import type { OtherChange } from "./model";
import { kindOfChange } from "./risk";

/** What changes that is neither a droplet of the site nor only a record in the state. */
export function listOthers(changes: readonly Change[]): OtherChange[] {
    return changes.flatMap((change) => {
        const { action, type, name, reasons } = change;
        if (action === "same") return [];
        if (type === types.content) return [{ action, kind: "content", ...contentDifference(change) }];
        const isOfSite = type === types.droplet && !isAdminHost(change);
        if (isOfSite || isOfContent(change.urn) || isComponent(type)) return [];
        const what = isOfAlerts(change.urn)
            ? alertDifference(change)
            : reasons.flatMap((input) => (input === "inboundRules" ? inboundDifference(change) : [input]));
        return [{ action, kind: kindOfChange(change), name, what }];
    });
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

/** Its folder; which release follows which, and what of it differs. */
function contentDifference({ name, before, after }: Change): Pick<OtherChange, "name" | "what"> {
    const folder = (after ?? before)?.inputs?.content;
    const release = (state: ResourceState | undefined) =>
        typeof state?.inputs?.release === "string" ? state.inputs.release : "none";
    const [old, next] = [before, after].map(
        (state) => (state?.inputs?.parts ?? {}) as Record<string, string>,
    );
    const differing = Object.keys({ ...old, ...next })
        .filter((part) => old?.[part] !== next?.[part])
        .sort(compareTexts)
        .map((part) => `${old?.[part] === undefined ? "+" : next?.[part] === undefined ? "-" : "~"}${part}`);
    const what =
        release(before) === release(after)
            ? "the same release again"
            : `release ${release(before)} → ${release(after)}: ${some(differing, 6)}`;
    return { name: typeof folder === "string" ? folder : name, what: [what] };
}

interface InboundRule {
    portRange?: string;
    sourceAddresses?: string[];
    sourceTags?: string[];
}

/** `port 22 from 198.51.100.7/32 → 203.0.113.0/24`. */
function inboundDifference({ before, after }: Change): string[] {
    const [old, next] = [sourcesByPort(before), sourcesByPort(after)];
    const ports = [...new Set([...old.keys(), ...next.keys()])].sort(compareTexts);
    return ports.flatMap((port) => {
        const [from, to] = [old.get(port) ?? "nobody", next.get(port) ?? "nobody"];
        return from === to ? [] : [`port ${port} from ${from} → ${to}`];
    });
}

function sourcesByPort(state: ResourceState | undefined): Map<string, string> {
    const rules = state?.inputs?.inboundRules;
    const list = Array.isArray(rules) ? (rules as InboundRule[]) : [];
    const sources = new Map<string, string[]>();
    for (const { portRange = "all", sourceAddresses = [], sourceTags = [] } of list)
        sources.set(portRange, [...(sources.get(portRange) ?? []), ...sourceAddresses, ...sourceTags]);
    return new Map([...sources].map(([port, from]) => [port, from.toSorted(compareTexts).join(", ")]));
}
