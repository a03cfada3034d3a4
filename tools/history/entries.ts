import { count, plain } from "../cli/words";
import { type Actor, actorOf, reasonOf } from "./who";
import type { Update } from "./updates";

/** One change of a stack: what it was to be, and how that ended. */
export interface HistoryEntry extends Actor {
    /** Tells it from the stack's other ones. */
    id: string;
    kind: "update" | "destroy";
    /** Servers that the last change before it that ended well asked for, and that this one does. */
    replicas: { from: number; to: number };
    /** Other settings that differ, in short: `size s-1vcpu-1gb → s-2vcpu-4gb`. */
    settings: string[];
    status: "in_progress" | "success" | "error";
    /** What had been done when it failed. Pulumi keeps no error's text. */
    errorReason?: string;
    startedAtMs: number;
    /** `undefined` while it runs. */
    endedAtMs?: number;
    /** Why, in the words of who did it; may be empty. */
    message: string;
}

type Config = Update["config"];

/** Whether it may change what the stack has; a `destroy` of single resources says nothing of the whole. */
export const isChange = ({ kind, environment }: Update): boolean =>
    kind === "update" || (kind === "destroy" && environment["pulumi.flag.target"] === undefined);

export const endedWell = (update: Update): boolean => isChange(update) && update.result === "succeeded";

/**
 * What changed a stack, newest first. Runs that change nothing of what the config asks for (refresh, import) are left out.
 *
 * @param updates Newest first, as Pulumi lists them.
 */
export function scalingHistory(updates: readonly Update[]): HistoryEntry[] {
    const entries: HistoryEntry[] = [];
    let applied: { config: Config; replicas: number } = { config: {}, replicas: 0 };
    for (const update of updates.filter(isChange).reverse()) {
        const entry = entryOf(update, applied);
        entries.unshift(entry);
        if (endedWell(update)) applied = { config: update.config, replicas: entry.replicas.to };
    }
    return entries;
}

function entryOf(update: Update, applied: { config: Config; replicas: number }): HistoryEntry {
    const { version, startTime, endTime, config } = update;
    const kind = update.kind === "destroy" ? "destroy" : "update";
    const asked = replicasOf(config);
    const [from, to] = [applied.replicas, kind === "destroy" ? 0 : (asked ?? applied.replicas)];
    const settings = kind === "destroy" ? [] : changedSettings(applied.config, config);
    const status = statuses[update.result] ?? "in_progress";
    return {
        id: version > 0 ? String(version) : startTime,
        kind,
        ...actorOf(update, asked),
        replicas: { from, to },
        settings,
        status,
        ...(status === "error" && { errorReason: describeFailure(update) }),
        startedAtMs: Date.parse(startTime),
        ...(endTime !== undefined && { endedAtMs: Date.parse(endTime) }),
        message: reasonOf(update),
    };
}

const statuses: Readonly<Record<string, HistoryEntry["status"]>> = { succeeded: "success", failed: "error" };

/** The project's name is the namespace of its keys. */
const settingOf = (key: string) => key.slice(key.indexOf(":") + 1);

/** `replicas` of a config; `undefined` where it has none. */
export function replicasOf(config: Config): number | undefined {
    const [, entry] = Object.entries(config).find(([key]) => settingOf(key) === "replicas") ?? [];
    return entry?.value === undefined ? undefined : Number(entry.value);
}

/** The first change of a stack has no settings before it: none is shown. */
function changedSettings(before: Config, after: Config): string[] {
    if (Object.keys(before).length === 0) return [];
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return keys.flatMap((key) => {
        const [old, now] = [before[key], after[key]];
        if (settingOf(key) === "replicas") return [];
        if (old?.secret === now?.secret && old?.value === now?.value) return [];
        const isShown = !old?.secret && !now?.secret && !secretKey.test(key);
        const name = settingOf(key);
        if (!isShown) return [`${name} changed`];
        const [from, to] = [short(old?.value), short(now?.value)];
        // The same: a key that came with its default.
        return from === to ? [] : [`${name} ${from} → ${to}`];
    });
}

/** Keys that somebody may have set without `--secret`: a token of the provider's, the certificate's private key. */
const secretKey = /token|secret|pass|key$/i;

const maxValueLength = 40;

function short(value: string | undefined): string {
    if (value === undefined || value === "") return "none";
    const text = plain(value);
    return text.length > maxValueLength ? `${text.slice(0, maxValueLength)}…` : text;
}

const operations = ["create", "update", "replace", "delete"];

function describeFailure({ resourceChanges = {} }: Update): string {
    const done = operations.flatMap((operation) => {
        const number = resourceChanges[operation] ?? 0;
        return number > 0 ? [`${count(number, "resource")} ${operation}d`] : [];
    });
    return done.length > 0 ? `failed with ${done.join(", ")}` : "failed, nothing was changed";
}
