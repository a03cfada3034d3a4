import type { RenderHaproxyOptions } from "../../components/haproxy/options";
import { renderHaproxyConfig } from "../../components/haproxy/render";
import { commandNames, slotOf, types } from "../../lib/identity";
import { type Change, find } from "./changes";
import { unifiedDiff } from "../cli/diff";
import { stagedHaproxy } from "../pulumi/state";

export type HaproxySettings = Omit<RenderHaproxyOptions, "servers">;

export interface HaproxyPlan {
    runs: boolean;
    /** Unified diff of its text, a server named once, and the generation's name left out; empty: the same text. */
    diff: string;
    /** An earlier run staged a text and did not apply it to the end: what HAProxy runs is that one, or the one before. */
    interrupted: boolean;
}

/**
 * haproxy.cfg as it was applied last, and as it will be. Where the preview does not know the text, since a new server
 * has no address yet, it is rendered here with a placeholder for that address.
 */
export function planHaproxy(changes: readonly Change[], settings: HaproxySettings): HaproxyPlan {
    const command = find(changes, types.remoteCommand, commandNames().applied);
    if (!command || command.action === "same" || command.action === "delete")
        return { runs: false, diff: "", interrupted: false };
    const [before, after] = (["before", "after"] as const).map((when) =>
        stagedHaproxy(changes.map(({ type, name, [when]: state }) => ({ type, name, ...state }))),
    );
    const text = after?.text ?? render(changes, withThumbprint(settings, before?.text));
    return {
        runs: true,
        diff: unifiedDiff(essence(before?.text ?? ""), essence(text)),
        interrupted: before?.applied === false,
    };
}

/** It is known once there is a key: that of the text before, or a word for it. */
function withThumbprint(settings: HaproxySettings, before = ""): HaproxySettings {
    const { https } = settings;
    if (https?.thumbprint === undefined) return settings;
    const [, thumbprint = https.thumbprint] = /%\[path,field\(-1,\/\)\]\.([\w-]{43})"/.exec(before) ?? [];
    return { ...settings, https: { ...https, thumbprint } };
}

/** Of 255.0.0.0/8, which no droplet can have: renderHaproxyConfig accepts addresses alone. */
const standIn = (slot: number): string => `255.0.${slot >> 8}.${slot & 255}`;

function render(changes: readonly Change[], settings: HaproxySettings): string {
    const unknown = new Map<string, string>();
    const servers = changes.flatMap((change) => {
        const slot = change.action !== "delete" ? slotOf(change) : undefined;
        if (slot === undefined) return [];
        const known = change.action === "create" || change.action === "replace" ? undefined : change.before;
        const address = known?.outputs?.ipv4AddressPrivate;
        if (typeof address === "string" && address !== "") return [{ name: change.name, address }];
        unknown.set(standIn(slot), `<address of ${change.name}>`);
        return [{ name: change.name, address: standIn(slot) }];
    });
    const text = renderHaproxyConfig({ ...settings, servers });
    return text.replace(/\b255\.0\.\d+\.\d+\b/g, (address) => unknown.get(address) ?? address);
}

/** Without the generation's name, and the lines that say the same of a server for each further backend. */
const essence = (text: string): string =>
    text.replace(/^ {4}(description gen=|server .* track pool\/).*\n/gm, "");
