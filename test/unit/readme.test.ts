import { readFileSync } from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { allScopes, previewScopes } from "../../account/token-scopes";
import { declaredKeys } from "../stack-config";

const readme = readFileSync(path.join(__dirname, "../../README.md"), "utf8");

/** The text between a heading and the next one. */
const section = (heading: string) => readme.split(`## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";

describe("README", () => {
    it("says of every config key what Pulumi.yaml says", () => {
        const rows = Object.entries(declaredKeys).map(([key, { default: value, description }]) => {
            const shown =
                value === "" ? "empty" : `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
            return `| \`${key}\` | ${shown} | ${description} |`;
        });
        const table = section("Configuration")
            .split("\n")
            .filter((line) => line.startsWith("| `"));
        expect(table).toEqual(rows);
    });

    it("says what a change of each of them does", () => {
        const table = section("What each change does");
        const missing = Object.keys(declaredKeys).filter((key) => !table.includes(`\`${key}\``));
        expect(missing).toEqual([]);
    });

    it("lists the scopes that a token needs", () => {
        const row = (what: string, scopes: readonly string[]) =>
            `| ${what} | ${[...scopes]
                .sort()
                .map((scope) => `\`${scope}\``)
                .join(" ")} |`;
        const more = allScopes.filter((scope) => !previewScopes.includes(scope));
        expect(section("Security")).toContain(
            [row("`pulumi preview`", previewScopes), row("everything else, too", more)].join("\n"),
        );
    });
});
