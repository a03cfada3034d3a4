import type { Findings } from "../lib/config-values";
import { checkCloudConfig } from "./cloud-config";
import { userDataFiles } from "./files";
import { plannedRestarts } from "./restarts";

/**
 * What cloud-init or the API would not take, each with the file's name.
 *
 * @param text Nothing is said of one that could not be read.
 * @param render Makes of the text what is sent, and throws where that can't be.
 */
export function checkUserData(name: string, text: unknown, render: (text: string) => string): Findings {
    if (typeof text !== "string") return { problems: [], warnings: [] };
    const { problems, warnings } = checkCloudConfig(text);
    try {
        if (problems.length === 0) render(text);
    } catch (error) {
        problems.push((error as Error).message);
    }
    if (problems.length === 0) warnings.push(...restartWarnings(text));
    const named = (line: string) => `userdata/${userDataFiles(name).join()}: ${line}`;
    return { problems: problems.map(named), warnings: warnings.map(named) };
}

/** A server joins as soon as its set-up has ended, and nobody knows whether that is before or after it goes down. */
function restartWarnings(text: string): string[] {
    const planned = plannedRestarts(text);
    if (planned.length === 0) return [];
    return [
        `plans a restart (${planned.join("; ")}): where that comes after the set-up has ended, requests are lost; ` +
            "let the set-up end after it, or build an image that needs none",
    ];
}
