import { readFileSync } from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";

interface ProjectFile {
    config: Record<string, { type: string; description: string; default: unknown }>;
}

/** Pulumi.yaml's keys, without the project's name before them. */
export const declaredKeys = Object.fromEntries(
    Object.entries(
        (parse(readFileSync(path.join(__dirname, "../Pulumi.yaml"), "utf8")) as ProjectFile).config,
    ).map(([key, declaration]) => [key.replace("dropscale:", ""), declaration]),
);

/** Config as the engine hands it to the program: the defaults of Pulumi.yaml, `adminCidrs`, and `changes` on top. */
export function stackConfig(changes: Readonly<Record<string, unknown>> = {}): Record<string, string> {
    const defaults = Object.fromEntries(
        Object.entries(declaredKeys).map(([key, { default: value }]) => [key, value]),
    );
    const values = { ...defaults, adminCidrs: ["203.0.113.0/24"], ...changes };
    return Object.fromEntries(
        Object.entries(values).map(([key, value]) => [
            key,
            typeof value === "string" ? value : JSON.stringify(value),
        ]),
    );
}
