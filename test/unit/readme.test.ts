import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { withConfigTable } from "../config-table";
import { declaredKeys } from "../stack-config";
import { alertScopes, allScopes, bakeScopes, metricScopes, previewScopes, zoneScopes } from "../token.mts";

const root = path.join(__dirname, "../..");
const read = (file: string) => readFileSync(path.join(root, file), "utf8");

/** The text between a heading and the next one of its level. */
const section = (file: string, heading: string) =>
    read(file).split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";

const pages = [
    "README.md",
    "docs/CONTRIBUTING.md",
    ...readdirSync(path.join(root, "docs"), { encoding: "utf8", recursive: true })
        .filter((file) => file.endsWith(".md"))
        .map((file) => path.join("docs", file)),
];

/** A page without its blocks of code. */
const prose = (file: string) => read(file).replace(/^( *)```[^]*?^\1```$/gm, "");

/** The anchors of a page's headings, as GitHub makes them: https://github.com/Flet/github-slugger */
function anchorsOf(file: string): string[] {
    const slugs = [...prose(file).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
        heading
            .toLowerCase()
            .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "")
            .replaceAll(" ", "-"),
    );
    return slugs.map((slug, i) => {
        const before = slugs.slice(0, i).filter((other) => other === slug).length;
        return before === 0 ? slug : `${slug}-${before}`;
    });
}

/** What a link of a page leads to, if that is in this repository: `undefined` where it is there, else what is not. */
function missing(page: string, link: string): string | undefined {
    const [, file = "", anchor] = /^([^#]*)(?:#(.*))?$/.exec(link) ?? [];
    const target = file === "" ? page : path.join(path.dirname(page), file);
    if (!existsSync(path.join(root, target))) return `there is no ${target}`;
    if (anchor === undefined) return undefined;
    if (statSync(path.join(root, target)).isFile() && anchorsOf(target).includes(anchor)) return undefined;
    return `${target} has no heading #${anchor}`;
}

describe("README.md", () => {
    it("can be read in one go: 150 lines of 120 characters", () => {
        const lines = read("README.md").trimEnd().split("\n");
        expect(lines.length).toBeLessThanOrEqual(150);
        expect(lines.filter((line) => line.length > 120)).toEqual([]);
    });
});

describe("the docs", () => {
    it("say of every config key what Pulumi.yaml says; `npm run docs:config` writes the table", () => {
        const page = read("docs/configuration.md");
        expect(page, "run `npm run docs:config`, and commit docs/configuration.md").toBe(
            withConfigTable(page),
        );
        const rows = Object.entries(declaredKeys).map(([key, { default: value, description }]) => {
            const shown =
                value === "" ? "empty" : `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
            return `| \`${key}\` | ${shown} | ${description} |`;
        });
        const table = section("docs/configuration.md", "Keys")
            .split("\n")
            .filter((line) => line.startsWith("| `"));
        expect(table).toEqual(rows);
    });

    it("say what a change of each of them does", () => {
        const [table = ""] = read("docs/changes.md").split("\n## ");
        const absent = Object.keys(declaredKeys).filter((key) => !table.includes(`\`${key}\``));
        expect(absent).toEqual([]);
    });

    it("list the scopes that a token needs", () => {
        const row = (what: string, scopes: readonly string[]) =>
            `| ${what} | ${[...scopes]
                .sort()
                .map((scope) => `\`${scope}\``)
                .join(" ")} |`;
        const zone = [...zoneScopes].sort().map((scope) => `\`${scope}\``);
        expect(section("docs/security.md", "Token scopes")).toContain(zone.join(" "));
        expect(section("docs/security.md", "Token scopes")).toContain(
            `With \`autoscale.cpu\`, the autoscaler's token needs \`${metricScopes.join("` `")}\`, too`,
        );
        expect(section("docs/security.md", "Token scopes")).toContain(
            [...alertScopes]
                .sort()
                .map((scope) => `\`${scope}\``)
                .join(" "),
        );
        const more = allScopes.filter((scope) => !previewScopes.includes(scope));
        expect(section("docs/security.md", "Token scopes")).toContain(
            [
                row("`pulumi preview`", previewScopes),
                row("everything else, too", more),
                row("`npm run bake`, which may have one of its own", bakeScopes),
            ].join("\n"),
        );
    });

    it.each(pages)("have only links that lead somewhere: %s", (page) => {
        const links = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
        const relative = links.filter((link) => !/^[a-z]+:/.test(link));
        expect(relative.flatMap((link) => missing(page, link) ?? [])).toEqual([]);
    });

    it("are where the messages of the program and its tools say", () => {
        const folders = ["account", "components", "policy", "tools", "userdata", ".github"];
        const sources = folders.flatMap((folder) =>
            readdirSync(path.join(root, folder), { encoding: "utf8", recursive: true })
                .filter((file) => /\.(ts|yml|yaml|sh)$/.test(file))
                .map((file) => path.join(folder, file)),
        );
        const named = sources.flatMap((file) => read(file).match(/\bdocs\/[\w-]+\.md\b/g) ?? []);
        expect(new Set(named)).toContain("docs/security.md");
        expect([...new Set(named)].filter((file) => !pages.includes(file))).toEqual([]);
    });

    it("have anchors as GitHub makes them", () => {
        expect(anchorsOf("docs/operations.md")).toContain("when-a-run-fails-or-is-killed");
        expect(missing("README.md", "docs/operations.md#nothing")).toBe(
            "docs/operations.md has no heading #nothing",
        );
        expect(missing("docs/security.md", "gone.md")).toBe("there is no docs/gone.md");
    });
});
