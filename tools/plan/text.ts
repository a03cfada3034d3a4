import type { Colors } from "picocolors/types";
import { paintDiffLine } from "../cli/diff";
import type { DropletAction, Plan } from "./model";
import { figuresOf, type PlanRow, planRows } from "./rows";
import { some } from "../cli/words";

const looks: Record<DropletAction, { mark: string; colour?: "green" | "yellow" | "red" }> = {
    create: { mark: "+", colour: "green" },
    replace: { mark: "±", colour: "yellow" },
    update: { mark: "~", colour: "yellow" },
    delete: { mark: "-", colour: "red" },
    keep: { mark: " " },
};

const nameWidth = 24;

export function planAsText(plan: Plan, colours: Colors): string {
    const { bold, red, yellow } = colours;
    const summary = plan.applicable ? bold(plan.summary) : red(bold(plan.summary));
    const rows = plan.applicable || plan.changes ? planRows(plan) : [];
    const sections = [
        `${bold(plan.stack)}: ${summary}`,
        plan.refusals.map((text) => indent(text, `${red("x")} `)).join("\n"),
        plan.warnings.map((text) => indent(text, `${yellow("!")} `)).join("\n"),
        rows.map((row) => line(row, colours)).join("\n"),
        figuresOf(plan)
            .map(([key, text]) => `  ${key.padEnd(9)} ${text}`)
            .join("\n"),
        diff("user data", plan.userDataDiff, colours),
        haproxy(plan, colours),
    ];
    return `${sections.filter(Boolean).join("\n\n")}\n`;
}

const indent = (text: string, first: string): string => first + text.replace(/\n/g, "\n  ");

function line({ action, label, names, kind, why, size }: PlanRow, colours: Colors): string {
    const { mark, colour } = looks[action];
    // What is replaced for its size has said it.
    const cells = [
        names.length > 0 ? kind : "",
        ...(why.length > 0 ? [`${label}: ${why.join(", ")}`] : [label]),
        why.some((reason) => reason.includes(size)) ? "" : size,
    ];
    const name = (names.length > 0 ? some(names, names.length > 12 ? 8 : 12) : kind).padEnd(nameWidth);
    const text = `  ${mark} ${name} ${cells.filter(Boolean).join(", ")}`.trimEnd();
    return colour ? colours[colour](text) : text;
}

/** Of a first deployment all is new, and the file in components/ is the better read. */
function haproxy({ haproxyDiff, servers }: Plan, colours: Colors): string {
    const isNew = haproxyDiff.split("\n").every((text) => /^([+@]|$)/.test(text));
    return servers.before === 0 && isNew ? "" : diff("haproxy.cfg", haproxyDiff, colours);
}

function diff(title: string, text: string, colours: Colors): string {
    if (text === "") return "";
    const lines = text.trimEnd().split("\n");
    return [`  ${title}`, ...lines.map((line) => `    ${paintDiffLine(line, colours)}`)].join("\n");
}
