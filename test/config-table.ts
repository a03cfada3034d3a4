import { declaredKeys } from "./stack-config";

/** What stands before and after the table in docs/configuration.md. */
const start = "<!-- Written by `npm run docs:config` from Pulumi.yaml. -->\n";
const end = "<!-- End of what it writes. -->\n";

/** Every key of Pulumi.yaml, its default and its description, as a Markdown table. */
function configTable(keys: typeof declaredKeys): string {
    const rows = Object.entries(keys).map(([key, { default: value, description }]) => {
        const text = typeof value === "string" ? value : JSON.stringify(value);
        return `| \`${key}\` | ${text === "" ? "empty" : `\`${text}\``} | ${description} |\n`;
    });
    return `| Key | Default | Meaning |\n| --- | --- | --- |\n${rows.join("")}`;
}

/**
 * docs/configuration.md with the table as Pulumi.yaml has it now.
 *
 * @throws an Error if the page has lost the comments that the table stands between.
 */
export function withConfigTable(page: string): string {
    const [from, to] = [page.indexOf(start), page.indexOf(end)];
    if (from < 0 || to < from)
        throw new Error(`there should be lines ${start}and ${end}in docs/configuration.md`);
    return `${page.slice(0, from + start.length)}\n${configTable(declaredKeys)}\n${page.slice(to)}`;
}
