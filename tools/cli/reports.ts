import { writeFileSync } from "node:fs";
import { mask } from "./mask";

export interface ReportOptions {
    markdown?: string;
    json?: string;
    quiet?: boolean;
}

/** Writes what is asked for, without secrets; to stdout the text for people, unless one of the others goes there. */
export function writeReports(
    { markdown, json, quiet }: ReportOptions,
    report: { markdown: string; json: string; text: string },
): void {
    const write = (file: string | undefined, text: string) => {
        if (file === "-") process.stdout.write(mask(text));
        else if (file !== undefined) writeFileSync(file, mask(text));
    };
    write(markdown, report.markdown);
    write(json, report.json);
    if (!quiet && markdown !== "-" && json !== "-") write("-", report.text);
}
