import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { cliModule } from "../../sandbox/offline-engine/build-cli.ts";
import { brokenRules, ruleCount, type Workflow } from "../workflows";

const root = path.resolve(__dirname, "../..");
const github = path.join(root, ".github");
const files = readdirSync(github, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".yml"),
);
const text = (name: string) => readFileSync(path.join(github, name), "utf8");
const workflow = (name: string) => parse(text(name)) as Workflow;
const pin = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1";

/** A pipeline that is fine, to be spoilt in one way. */
const fine = (): Workflow => ({
    on: { push: {} },
    permissions: { contents: "read" },
    jobs: {
        up: {
            "timeout-minutes": 5,
            concurrency: { group: "stack-${{ matrix.stack }}", "cancel-in-progress": false, queue: "max" },
            steps: [
                { uses: pin, with: { "persist-credentials": false } },
                { run: "npm ci --ignore-scripts" },
                { run: 'tsx tools/main.ts admit "$STACK" >> "$GITHUB_ENV"' },
                { run: 'tsx tools/main.ts deploy "$STACK"', env: { TOKEN: "${{ secrets.TOKEN }}" } },
                { run: 'tsx tools/main.ts admit "$STACK" --remove', if: "always()" },
            ],
        },
    },
});
type Up = NonNullable<Workflow["jobs"]>[string];

describe("the pipeline's workflows", () => {
    it.each(files)("%s breaks no rule, and names the release of each action that it pins", (name) => {
        expect(brokenRules(workflow(name))).toEqual([]);
        const uses = text(name)
            .split("\n")
            .filter((line) => /\buses: (?!\.\/)/.test(line));
        for (const line of uses) expect(line).toMatch(/@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    });

    const spoilers: [string, (up: Up, whole: Workflow) => void][] = [
        ["pinned", (up) => (up.steps[0] = { ...up.steps[0], uses: "actions/checkout@v7" })],
        ["pull_request_target", (_up, whole) => (whole.on = { pull_request_target: {} })],
        ["read-only", (_up, whole) => (whole.permissions = "write-all")],
        ["read-only", (_up, whole) => delete whole.permissions],
        ["one permission", (up) => (up.permissions = { issues: "write", "pull-requests": "write" })],
        [
            "one permission",
            (up, whole) => {
                whole.on = { pull_request: {} };
                up.permissions = { "pull-requests": "write" };
                up.steps[3] = { ...up.steps[3], env: { TOKEN: "${{ secrets.PREVIEW_TOKEN }}" } };
            },
        ],
        ["ends in time", (up) => delete up["timeout-minutes"]],
        ["inside a script", (up) => up.steps.push({ run: "echo ${{ github.event.pull_request.title }}" })],
        ["single steps", (up) => (up.env = { TOKEN: "${{ secrets.TOKEN }}" })],
        ["PREVIEW_", (_up, whole) => (whole.on = { pull_request: {} })],
        ["in the clone", (up) => (up.steps[0] = { uses: pin })],
        ["install script", (up) => up.steps.push({ run: "npm ci" })],
        ["alone", (up) => (up.concurrency = { ...up.concurrency, "cancel-in-progress": true })],
        ["alone", (up) => (up.concurrency = { ...up.concurrency, group: "all" })],
        ["alone", (up) => delete up.concurrency?.queue],
        ["not after", (up) => up.steps.pop()],
        ["not after", (up) => (up.steps[4] = { run: "tsx tools/main.ts admit prod --remove" })],
        ["not after", (up) => up.steps.splice(2, 1)],
    ];
    it("are held to rules that can be broken, one by one", () => {
        expect(brokenRules(fine())).toEqual([]);
        for (const [rule, spoil] of spoilers) {
            const spoilt = fine();
            if (spoilt.jobs?.up) spoil(spoilt.jobs.up, spoilt);
            expect(brokenRules(spoilt), rule).toHaveLength(1);
            expect(brokenRules(spoilt)[0]).toContain(rule);
        }
        expect(new Set(spoilers.map(([rule]) => rule)).size).toBe(ruleCount);
    });

    it("install the version of pulumi that the tests run with", () => {
        const { version } = cliModule();
        expect(text("actions/setup/action.yml")).toContain(`pulumi-version: ${version}\n`);
        expect(readFileSync(path.join(root, ".gitlab-ci.yml"), "utf8")).toContain(version);
    });

    it("give a merge request's code no variable but its own on GitLab, too", () => {
        const { plan } = parse(readFileSync(path.join(root, ".gitlab-ci.yml"), "utf8")) as {
            plan: { script: string[] };
        };
        const set = plan.script.flatMap((line) => [...line.matchAll(/(\w+)="\$\{?(\w+)/g)]);
        expect(set.map(([, name, from]) => from === `PREVIEW_${name ?? ""}`)).toEqual(Array(5).fill(true));
        const names = set.map(([, name = ""]) => name).sort();
        const wide = [...text("workflows/up.yml").matchAll(/secrets\.(\w+)/g)].map(([, name = ""]) => name);
        expect(names).toEqual([...new Set(wide)].sort());
    });

    it("run for each stack but dev", () => {
        const script = workflow("actions/stacks/action.yml").runs?.steps[0]?.run ?? "";
        const folder = mkdtempSync(path.join(tmpdir(), "dropscale-stacks-"));
        const output = path.join(folder, "output");
        const list = (...stacks: string[]) => {
            for (const stack of stacks) writeFileSync(path.join(folder, `Pulumi.${stack}.yaml`), "");
            writeFileSync(output, "");
            execFileSync("bash", ["-eo", "pipefail", "-c", script], {
                cwd: folder,
                env: { ...process.env, GITHUB_OUTPUT: output },
            });
            return readFileSync(output, "utf8");
        };
        try {
            writeFileSync(path.join(folder, "Pulumi.yaml"), "");
            expect(list("dev")).toBe("list=[]\n");
            expect(list("prod", "eu-west")).toBe('list=["eu-west","prod"]\n');
        } finally {
            rmSync(folder, { recursive: true });
        }
    });
});

describe("the commands of the pipelines", () => {
    const called = (source: string) =>
        [...new Set([...source.matchAll(/tools\/main\.ts ([a-z]+)/g)].map(([, command]) => command))].sort();

    it.each([...files.map((name) => path.join(".github", name)), ".gitlab-ci.yml", "docs/pipeline.md"])(
        "are there, all that %s names",
        (name) => {
            const entry = readFileSync(path.join(root, "tools/main.ts"), "utf8");
            const commands = [...entry.matchAll(/(?:command|onStack)\("([a-z]+)"\)/g)].map(
                ([, command]) => command,
            );
            expect(commands).toEqual(expect.arrayContaining(["plan", "deploy", "admit"]));
            for (const command of called(readFileSync(path.join(root, name), "utf8")))
                expect(commands).toContain(command);
        },
    );

    it("are the same on GitHub and on GitLab", () => {
        const gitlab = readFileSync(path.join(root, ".gitlab-ci.yml"), "utf8");
        expect(called(gitlab)).toEqual(called(files.map(text).join("\n")));
    });
});
