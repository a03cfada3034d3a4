import Table from "cli-table3";
import type { Colors } from "picocolors/types";
import { writeReports } from "../cli/reports";
import { coloursFor } from "../cli/terminal";
import { arrow, duration } from "../cli/words";
import type { HistoryEntry } from "./entries";
import { readHistoryAndRun } from "./read";
import { bareReason } from "./who";

export interface HistoryOptions {
    json?: string;
    limit: number;
}

/** Who changed a stack, when, why, and how that ended. Changes nothing. */
export async function history(stack: string, { json, limit }: HistoryOptions): Promise<void> {
    const entries = await readHistoryAndRun(stack, limit);
    writeReports(
        { json },
        {
            text: historyText(stack, entries, coloursFor(process.stdout)),
            json: historyJson(stack, entries),
            markdown: "",
        },
    );
}

const columns = ["when (UTC)", "who", "servers", "result", "took", "other settings", "why"];

/** The table of `make history`. */
export function historyText(stack: string, entries: readonly HistoryEntry[], colours: Colors): string {
    if (entries.length === 0) return `stack ${stack} has no history yet: \`pulumi up\` begins it\n`;
    const paint = { success: String, error: colours.red, in_progress: colours.yellow };
    const table = new Table({ head: columns, style: { head: [], border: [], compact: true } });
    for (const entry of entries) table.push(cellsOf(entry).map(paint[entry.status]));
    return `${table.toString()}\n`;
}

function cellsOf(entry: HistoryEntry): string[] {
    const { who, replicas, status, startedAtMs, settings, errorReason } = entry;
    const seconds = tookSeconds(entry);
    return [
        new Date(startedAtMs).toISOString().slice(0, 19).replace("T", " "),
        who,
        arrow(replicas.from, replicas.to),
        errorReason ?? status.replace("_", " "),
        seconds === undefined ? "-" : duration(seconds),
        settings.join("\n") || "-",
        // The other columns say the rest of it.
        bareReason(entry.message) || (entry.kind === "destroy" ? "destroy" : "-"),
    ];
}

const tookSeconds = ({ startedAtMs, endedAtMs }: HistoryEntry): number | undefined =>
    endedAtMs === undefined ? undefined : Math.round((endedAtMs - startedAtMs) / 1000);

/**
 * For programs: the fields of DigitalOcean's history of an autoscale pool, and after them ours.
 * https://docs.digitalocean.com/reference/api/digitalocean/#operation/autoscalepools_list_history
 */
export function historyJson(stack: string, entries: readonly HistoryEntry[]): string {
    const events = entries.map((entry) => ({
        history_event_id: entry.id,
        current_instance_count: entry.replicas.from,
        desired_instance_count: entry.replicas.to,
        reason: directionOf(entry),
        status: entry.status,
        ...(entry.errorReason !== undefined && { error_reason: entry.errorReason }),
        created_at: timeOf(entry.startedAtMs),
        updated_at: timeOf(entry.endedAtMs ?? entry.startedAtMs),
        kind: entry.kind,
        by: entry.by,
        who: entry.who,
        duration_seconds: tookSeconds(entry) ?? null,
        settings: entry.settings,
        message: entry.message,
    }));
    return `${JSON.stringify({ version: 1, stack, history: events, meta: { total: events.length } }, undefined, 2)}\n`;
}

function directionOf({ replicas: { from, to } }: HistoryEntry): string {
    if (from === to) return "CONFIGURATION_CHANGE";
    return from < to ? "SCALE_UP" : "SCALE_DOWN";
}

/** As in DigitalOcean's answers: whole seconds. */
const timeOf = (atMs: number): string => new Date(atMs).toISOString().replace(/\.\d+Z$/, "Z");
