import { cut, escape, fence, maxCommentLength } from "../cli/markdown";
import type { Plan } from "./model";
import { figuresOf, planRows } from "./rows";
import { some } from "../cli/words";

/** Room for what stands around a folded block. */
const foldLength = 200;

/**
 * The plan as a comment on a pull request. Its first line is the same for every plan of a stack, so that the comment is
 * found again and edited in place.
 *
 * @param engineDiff What `pulumi preview --diff` prints; cut off where the comment would become too long.
 */
export function planAsMarkdown(plan: Plan, engineDiff: string): string {
    const isPlanned = plan.applicable || plan.changes;
    const top = [
        `<!-- dropscale plan: ${plan.stack} -->`,
        `${plan.applicable ? "" : ":x: "}**${escape(plan.stack)}: ${escape(plan.summary)}**`,
        plan.refusals.map(refusal).join("\n\n"),
        plan.warnings.map((text) => `- :warning: ${escape(text).replace(/\n/g, "<br>")}`).join("\n"),
        isPlanned ? table(plan) : "",
        figuresOf(plan)
            .map(([key, text]) => `- **${key}:** ${escape(text)}`)
            .join("\n"),
    ]
        .filter(Boolean)
        .join("\n\n");
    const folds = [
        { title: "user data", text: plan.userDataDiff },
        { title: "haproxy.cfg", text: plan.haproxyDiff },
        { title: "pulumi preview --diff", text: engineDiff },
    ].filter(({ text }) => text.trim() !== "");
    let result = cut(top, maxCommentLength - 2 * foldLength);
    for (const { title, text } of folds) {
        const room = maxCommentLength - result.length - foldLength;
        // Less would not even hold the words that it was cut.
        if (room > foldLength)
            result += `\n\n<details><summary>${title}</summary>\n\n${fence(cut(text, room), "diff")}\n\n</details>`;
    }
    return `${result}\n`;
}

const code = (text: string): string => `\`${text.replace(/[`|\n]/g, " ")}\``;

/** The program's own message has lines that are aligned. */
const refusal = (text: string): string => (text.includes("\n") ? fence(text, "text") : `> ${escape(text)}`);

function table(plan: Plan): string {
    const rows = planRows(plan).map(({ label, names, kind, why, size }) => [
        label,
        [escape(kind), some(names.map(code), 20)].filter(Boolean).join(" "),
        why.map(escape).join("<br>"),
        size && code(size),
    ]);
    const lines = [["", "what", "why", "size"], ["---", "---", "---", "---"], ...rows];
    return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
