import type { Colors } from "picocolors/types";
import type { Drift, DriftReport } from "./differences";
import { paintDiffLine } from "../cli/diff";
import { escape, fence, maxCommentLength } from "../cli/markdown";

/** A diff that is longer says little to a reader. */
const maxDiffLines = 200;

export function driftText(report: DriftReport, colours: Colors): string {
    const blocks = report.differences.map((drift) =>
        [
            colours.bold(`${titleOf(drift)} ${drift.message}`),
            ...diffLines(drift).map((line) => `    ${paintDiffLine(line, colours)}`),
            `  → ${drift.fix}`,
        ].join("\n"),
    );
    const unchecked = report.unchecked.map((why) => colours.yellow(`not looked at: ${why}`));
    return [headlineOf(report), ...blocks, ...unchecked].join("\n\n") + "\n";
}

/** For an issue, which is found again by its first line. */
export function driftMarkdown(report: DriftReport): string {
    const blocks = report.differences.map((drift) => {
        const diff = diffLines(drift).join("\n");
        return [
            `### ${escape(`${titleOf(drift)} ${drift.message}`)}`,
            ...(diff === "" ? [] : [fence(diff, "diff")]),
            `To fix it: ${drift.fix}.`,
        ].join("\n\n");
    });
    const unchecked = report.unchecked.map((why) => `Not looked at: ${escape(why)}`);
    const head = `<!-- dropscale drift: ${report.stack} -->\n**${escape(headlineOf(report))}**`;
    let text = head;
    const parts = [...unchecked, ...blocks];
    for (const [i, part] of parts.entries()) {
        const more = `\n\nand ${parts.length - i} more: the text is full.`;
        if (text.length + part.length + more.length > maxCommentLength) return `${text}${more}\n`;
        text += `\n\n${part}`;
    }
    return `${text}\n`;
}

/** For programs. `version` changes when a field changes its meaning or goes. */
export function driftJson(report: DriftReport): string {
    return `${JSON.stringify({ version: 2, ...report }, undefined, 2)}\n`;
}

function headlineOf({ stack, differences, unchecked }: DriftReport): string {
    const count = differences.filter(({ kind }) => kind !== "updates").length;
    if (count === 0 && differences.length > 0)
        return `${stack}: the load balancer is behind; no other difference was found`;
    if (count === 1) return `${stack}: 1 thing is not as Pulumi made it`;
    if (count > 1) return `${stack}: ${count} things are not as Pulumi made them`;
    return unchecked.length > 0
        ? `${stack}: no drift was found, but not all could be looked at`
        : `${stack}: no drift, all is as Pulumi made it`;
}

function titleOf({ type, name, id }: Drift): string {
    return `${type} ${name}${id === undefined || id === name ? "" : ` (${id})`}`;
}

function diffLines({ diff = "" }: Drift): string[] {
    const lines = diff.trimEnd() === "" ? [] : diff.trimEnd().split("\n");
    if (lines.length <= maxDiffLines) return lines;
    return [...lines.slice(0, maxDiffLines), `… and ${lines.length - maxDiffLines} more lines`];
}
