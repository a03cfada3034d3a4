import * as path from "node:path";
import Table from "cli-table3";
import pc from "picocolors";
import { shellQuoted } from "../../lib/shell";
import type { Stack } from "../pulumi/stack";
import type { HaproxyFinding } from "../live/haproxy-check";
import { clearable } from "./leftovers";
import type { Live } from "../live/pool";
import { leftOf, partOf } from "../live/left";
import type { Orphan } from "../live/orphans";
import { dollars } from "../cli/words";
import type { Lock, Process } from "../pulumi/runs";

export interface Examination {
    locks: Lock[];
    processes: Process[];
    pending: string[];
    orphans: Orphan[];
    live: Live;
    haproxy: HaproxyFinding | undefined;
}

export interface ExaminationRow {
    /** `clear`, `end` and `delete` need consent. */
    todo: "clear" | "end" | Orphan["verdict"];
    kind: string;
    name: string;
    id: string;
    created?: string;
    why: string;
}

/** @param mayClear Whether what failed runs left is to be cleared, if that is agreed to. */
export function examinationRows(found: Examination, mayClear: boolean): ExaminationRow[] {
    const { locks, processes, pending, orphans, live, haproxy } = found;
    return [
        ...locks.map(({ pid, username, hostname, timestamp }) => ({
            ...row("clear", "lock", "no such run is seen here: dead, or in a container"),
            ...{ name: `${username}@${hostname}`, id: `pid ${pid}`, created: timestamp },
        })),
        ...processes.map(({ pid, args }) => ({
            ...row("end", "plugin", "its engine is gone, and it may still make things"),
            ...{ name: /pulumi-\w+-\w+|cmd\/run/.exec(args)?.[0] ?? args, id: `pid ${pid}` },
        })),
        ...pending.map((name) => ({ ...row("clear", "pending", "cut off in the middle"), name })),
        ...orphans.map(({ verdict, ...rest }) => ({ todo: verdict, ...rest })),
        ...leftRows(live, mayClear),
        ...haproxyRows(live, haproxy),
    ];
}

const row = (todo: ExaminationRow["todo"], kind: string, why: string) => ({
    todo,
    kind,
    why,
    name: "",
    id: "",
});

function leftRows(live: Live, mayClear: boolean): ExaminationRow[] {
    const { serving, waiting, idle } = leftOf(live);
    const goes = mayClear ? clearable(live, "all") : [];
    return [...serving, ...idle, ...waiting].map((droplet) => {
        const { name, id, monthlyCost = 0, serves } = droplet;
        const cost = serves === false && monthlyCost > 0 ? `, ${dollars(monthlyCost)} a month` : "";
        const todo = goes.includes(droplet) ? "delete" : "tell";
        return { ...row(todo, "droplet", partOf(droplet) + cost), name, id };
    });
}

function haproxyRows({ haproxy }: Live, found: HaproxyFinding | undefined): ExaminationRow[] {
    const why = haproxy instanceof Error ? `can't be looked at: ${haproxy.message}` : found?.message;
    return why === undefined ? [] : [{ ...row("tell", "haproxy.cfg", why), name: "load balancer" }];
}

/** What HAProxy runs, where it is not what the state has. */
export function whatRuns({ haproxy }: Examination): string | undefined {
    return haproxy && `haproxy.cfg ${haproxy.message}: ${haproxy.fix}`;
}

export function nextStep({ name }: Stack, { live, haproxy }: Examination): string {
    const { serving } = leftOf(live);
    const isInOrder = serving.length === 0 && haproxy === undefined && !(live.haproxy instanceof Error);
    return `${isInOrder ? `stack ${name} is in order; ` : ""}next: pulumi up --stack ${name}`;
}

export function todoOf(rows: readonly ExaminationRow[]): ExaminationRow[] {
    return rows.filter(({ todo }) => todo === "clear" || todo === "end" || todo === "delete");
}

/** A table on a terminal, plain lines elsewhere; nothing for no rows. */
export function tableOf(rows: readonly ExaminationRow[]): string {
    if (rows.length === 0) return "";
    const lines = rows.map(({ todo, kind, name, id, created = "", why }) => {
        return [todo === "tell" ? "-" : todo, kind, name, id, created, why];
    });
    if (!process.stdout.isTTY) return lines.map((cells) => cells.filter(Boolean).join("  ")).join("\n");
    const table = new Table({
        head: ["", "what", "name", "id", "created", "why"],
        style: { head: [], border: [], compact: true },
    });
    const { red, yellow } = pc.createColors(pc.isColorSupported);
    for (const [todo = "", ...cells] of lines)
        table.push([todo === "delete" ? red(todo) : yellow(todo), ...cells]);
    return table.toString();
}

export function whatStays(stack: Stack, orphans: readonly Orphan[]): string | undefined {
    const kept = orphans.filter(({ verdict }) => verdict === "keep");
    if (kept.length === 0) return undefined;
    const giveUp =
        "or give these up: this again with --serving (nothing serves then until the next `pulumi up`)";
    if (kept.every(({ kind }) => kind === "droplet"))
        return `next: \`pulumi up --refresh --stack ${stack.name}\` makes what the state lacks and moves the traffic to it; then this again,
${giveUp}`;
    return `the state knows nothing of what these need, and no second one can be made beside it: the names are taken.
next: put an earlier state back${howToRestore(stack)}; then this again,
${giveUp}`;
}

export function whatWaits(stack: Stack, orphans: readonly Orphan[]): string | undefined {
    const waiting = orphans.filter(({ verdict }) => verdict === "wait");
    if (waiting.length === 0) return undefined;
    const names = waiting.map(({ kind, name }) => `${kind} ${name}`).join(", ");
    return `stack ${stack.name}: left alone until somebody confirms that no run is making it: ${names}
next: this again on a terminal, or with --yes --killed; droplets, firewalls and VPCs an hour old (what a bake left: six) go with --yes alone`;
}

/** `pulumi stack import` does not take what a file backend backs up: https://github.com/pulumi/pulumi/issues/6060 */
function howToRestore({ name, project, backend }: Stack): string {
    if (backend === undefined)
        return `, with \`pulumi stack import --stack ${name}\` (Pulumi Cloud has it: \`pulumi stack export --version NUMBER\`)`;
    const stack = path.basename(name);
    const backup = `${backend}/.pulumi/backups/${project}/${stack}/${stack}.NUMBER.json`;
    const state = `${backend}/.pulumi/stacks/${project}/${stack}.json`;
    return `: \`cp ${shellWord(backup)} ${shellWord(state)}\``;
}

function shellWord(file: string): string {
    return /^[\w./@+-]+$/.test(file) ? file : shellQuoted(file);
}
