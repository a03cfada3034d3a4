import { diffLines } from "diff";
import { isServer, names, serverName, slotOf, types } from "../../lib/identity";
import { unknownValue } from "../../policy/facts";
import { splitUserData, type UserDataParts } from "../../userdata/multipart";
import { userDataHash } from "../../userdata/render";
import { type Left, leftoverName } from "../live/left";
import type { ResourceState } from "../pulumi/preview";
import { type Change, find } from "./changes";
import { unifiedDiff } from "../cli/diff";
import type { DropletAction, ServerPlan, Setting } from "./model";

const configNames: Record<string, string> = {
    vpcUuid: "VPC",
    sshKeys: "deploy key",
    userData: "user data",
};

export interface PoolConfig {
    replicas: number;
    retired: readonly number[];
    hold: readonly number[];
    size: string;
    image: string;
    userDataFile: string;
}

export function planServers(changes: readonly Change[], config: PoolConfig, left: Left): ServerPlan[] {
    const pool = find(changes, types.pool, names.pool);
    const servers = changes.flatMap((change) => {
        const slot = slotOf(change);
        if (slot === undefined) return [];
        const held = config.hold.includes(slot) && change.before !== undefined && change.after !== undefined;
        const waits = left.waiting.some(({ id }) => id === change.before?.id);
        const old = left.serving.find(({ name }) => name === change.name);
        return {
            name: serverName(slot),
            slot,
            action: dropletAction(change),
            why: [
                ...(change.action === "create" && old
                    ? [`in place of ${leftoverName(old)}`]
                    : whyServer(slot, change, pool, config)),
                ...(waits ? ["waits so far: it gets no request"] : []),
            ],
            size: sizeOf(change.after ?? change.before) ?? "?",
            held,
            waits,
        };
    });
    return servers.sort((a, b) => a.slot - b.slot);
}

/** Servers that there are: one that the state has lost serves still, while its old droplet does. */
export function namesBefore(list: readonly ServerPlan[], { serving }: Left): string[] {
    const there = list.filter(({ action }) => action !== "create").map(({ name }) => name);
    const old = serving.filter(({ isLoadBalancer }) => !isLoadBalancer).map(({ name }) => name);
    return [...new Set([...there, ...old])];
}

export function dropletAction({ action }: Change): DropletAction {
    return action === "same" ? "keep" : action;
}

/** Slug of a droplet's size; `undefined` where it is not known. */
export function sizeOf(state: ResourceState | undefined): string | undefined {
    // What a refresh saw, before what was asked for.
    const size = state?.outputs?.size ?? state?.inputs?.size;
    return typeof size === "string" ? size : undefined;
}

function whyServer(slot: number, change: Change, pool: Change | undefined, config: PoolConfig): string[] {
    switch (change.action) {
        case "create":
            return whyNew(slot, pool, config);
        case "delete":
            return [
                config.retired.includes(slot) ? "retired" : replicasChange(pool) || "no longer in the pool",
            ];
        case "replace":
        case "update":
            return whyDroplet(change, config.userDataFile);
        case "same":
            return config.hold.includes(slot) ? whyHeld(change, pool, config) : [];
    }
}

function whyNew(slot: number, pool: Change | undefined, config: PoolConfig): string[] {
    const before = pool?.before?.inputs;
    if (!before) return [];
    // In the state already, and yet to be made: a refresh did not find it in the account.
    if (slotsIn(before.servers).includes(slot)) return ["it is gone from the account: made again"];
    if ((before.retired as unknown[] | undefined)?.includes(slot)) return ["no longer retired"];
    if (Number(before.replicas) < config.replicas) return [replicasChange(pool)];
    const retired = config.retired.filter((gone) => slotsIn(before.servers).includes(gone));
    return retired.length > 0 ? [`in place of ${retired.map((gone) => serverName(gone)).join(", ")}`] : [];
}

function replicasChange(pool: Change | undefined): string {
    const [before, after] = [pool?.before?.inputs?.replicas, pool?.after?.inputs?.replicas];
    return before === after || typeof before !== "number" ? "" : `replicas ${before} → ${String(after)}`;
}

function slotsIn(servers: unknown): number[] {
    return Object.keys(servers ?? {}).flatMap((name) => slotOf({ name }) ?? []);
}

/** For which inputs a droplet is replaced or changed, in the words of the config. */
export function whyDroplet(change: Change, userDataFile: string): string[] {
    return change.reasons.flatMap((input) => {
        if (input === "userData") {
            const texts = userDataChange(change, userDataFile).map(({ text }) => text);
            return texts.length > 0 ? texts : "what the program adds to the user data changed";
        }
        const [before, after] = [change.before, change.after].map((state) => plain(state?.inputs?.[input]));
        const name = configNames[input] ?? input;
        return before === undefined || after === undefined || name !== input
            ? `${name} changed`
            : `${name} ${before} → ${after}`;
    });
}

/** A value that a person can read; `undefined` for any other. */
function plain(value: unknown): string | undefined {
    const words = Array.isArray(value) ? value : [value];
    const readable = words.every(
        (word) => ["string", "number", "boolean"].includes(typeof word) && word !== unknownValue,
    );
    return readable && value !== "[secret]" ? words.join(", ") : undefined;
}

/** User data of a droplet before and after; `undefined` where one of them can't be read. */
function userDataOf({ before, after }: Change): [UserDataParts, UserDataParts] | undefined {
    const [old, next] = [before, after].map((state) => plain(state?.inputs?.userData));
    return old === undefined || next === undefined ? undefined : [splitUserData(old), splitUserData(next)];
}

/** What differs in the user data of backends that are replaced for it, mostly the same in all of them. */
export function userDataDiff(changes: readonly Change[]): string {
    const replaced = changes.filter((change) => isServer(change) && change.action === "replace");
    const diffs = replaced.map((change) => {
        const [old, next] = userDataOf(change) ?? [];
        return old && next ? unifiedDiff(ownText(old), ownText(next)) : "";
    });
    return [...new Set(diffs)].join("");
}

const ownText = ({ text, generation }: UserDataParts): string =>
    generation === "" ? text : `# generation: ${generation}\n${text}`;

/** As settings of the config, and in words. The text may be long: how much of it differs, and which it is. */
export function userDataChange(change: Change, file: string): (Setting & { text: string })[] {
    const [from, to] = userDataOf(change) ?? [];
    if (!from || !to) return [{ key: "userdata", before: "?", after: "?", text: `${file} changed` }];
    const changes: ReturnType<typeof userDataChange> = [];
    if (from.generation !== to.generation) {
        const [was, is] = [from.generation || "(empty)", to.generation || "(empty)"];
        changes.push({ key: "generation", before: was, after: is, text: `generation ${was} → ${is}` });
    }
    if (from.text !== to.text) {
        const [was, is] = [userDataHash(from.text), userDataHash(to.text)];
        const text = `user data ${was} → ${is} (${file}: ${countLines(from.text, to.text)} lines)`;
        changes.push({ key: "userdata", before: was, after: is, text });
    }
    return changes;
}

function countLines(before: string, after: string): string {
    const parts = diffLines(before, after);
    const sum = (wanted: "added" | "removed") =>
        parts.reduce((total, part) => total + (part[wanted] ? part.count : 0), 0);
    return `+${sum("added")} -${sum("removed")}`;
}

/** What a held server has otherwise than the config says. */
function whyHeld({ before }: Change, pool: Change | undefined, config: PoolConfig): string[] {
    const { image, userData } = before?.inputs ?? {};
    const wanted = String(pool?.after?.inputs?.userData);
    const keeps = [
        sizeOf(before) !== config.size && `size ${sizeOf(before) ?? "?"}`,
        image !== config.image && `image ${String(image)}`,
        // The component's input ends with the digest: components/backend-pool.ts.
        typeof userData === "string" &&
            !wanted.endsWith(userDataHash(splitUserData(userData).text)) &&
            "its user data",
    ].filter((text) => text !== false);
    return [keeps.length > 0 ? `held, keeps ${keeps.join(" and ")}` : "held"];
}
