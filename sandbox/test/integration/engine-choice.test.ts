import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { buildCli } from "../../offline-engine/build-cli.ts";
import { findEngine } from "../../offline-engine/engine.ts";

/** Stand-ins of `pulumi` and `go` on a PATH of their own: what is chosen, and said, without building anything. */
let root: string;
let env: NodeJS.ProcessEnv;
let lines: string[];
const log = (line: string) => void lines.push(line);

beforeEach(() => {
    root = fs.mkdtempSync(path.join(os.tmpdir(), "engine-choice-"));
    lines = [];
    env = { PATH: path.join(root, "path"), HOME: path.join(root, "user") };
    vi.stubEnv("XDG_CACHE_HOME", path.join(root, "cache"));
});
afterEach(() => {
    vi.unstubAllEnvs();
    fs.rmSync(root, { recursive: true });
});

function script(file: string, body: string): void {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), `#!/bin/sh\nPATH=/usr/bin:/bin\n${body}\n`, { mode: 0o755 });
}
const npmVersion = (name: string) =>
    (JSON.parse(fs.readFileSync(`node_modules/@pulumi/${name}/package.json`, "utf8")) as { version: string })
        .version;
const sdk = npmVersion("pulumi");
const pluginFolders = ["digitalocean", "command"].map((name) => `resource-${name}-v${npmVersion(name)}`);
function installPlugins(into: string, folders = pluginFolders): void {
    for (const folder of folders) script(`${into}/plugins/${folder}/pulumi-${folder.split("-v")[0]}`, "");
}
const home = () => path.join(root, "home");
/** `pulumi` that knows its version and installs plugins into PULUMI_HOME as the real one does. */
const pulumiScript = (version: string, install = "", runtime = '{"language":"nodejs"}') => `
echo "$@" >>${root}/calls
case "$1" in
version) echo ${version} ;;
about) grep -q 'runtime: nodejs' Pulumi.yaml && echo '{"runtime":${runtime}}' ;;
plugin) ${install} ;;
esac`;
const goScript = (build: string, version = "go1.26.8") => `
case "$1" in
env) echo ${version} ;;
build) echo "$GOTOOLCHAIN $GOFLAGS" >>${root}/builds; for a; do case "$a" in -o=*) out="\${a#-o=}" ;; esac; done; ${build} ;;
esac`;

describe("findEngine", () => {
    it("uses an official pulumi with the plugins in the user's own folder, with a home of its own", async () => {
        script("path/pulumi", pulumiScript(`v${sdk}`));
        installPlugins("user/.pulumi");
        const engine = await findEngine({ home: home(), log, env });
        expect(engine.kind).toBe("official");
        expect(engine.description).toContain(`Pulumi v${sdk} (${root}/path/pulumi)`);
        expect(engine.env).toEqual({ PATH: env.PATH, PULUMI_HOME: home(), PULUMI_SKIP_UPDATE_CHECK: "true" });
        expect(fs.readdirSync(path.join(home(), "plugins")).sort()).toEqual([...pluginFolders].sort());
        expect(lines).toEqual([]);
    });

    it("installs a plugin that is missing, or whose download did not end, and says so", async () => {
        script("path/pulumi", pulumiScript(`v${sdk}`, 'mkdir -p "$PULUMI_HOME/plugins"'));
        installPlugins("own");
        fs.writeFileSync(path.join(root, "own/plugins", `${pluginFolders[1]}.partial`), "");
        const engine = await findEngine({
            home: home(),
            log,
            env: { ...env, PULUMI_HOME: path.join(root, "own") },
        });
        expect(engine.kind).toBe("official");
        expect(lines).toEqual([
            `installing the Pulumi plugin command v${npmVersion("command")} (at most 120 s)`,
        ]);
        expect(fs.readFileSync(path.join(root, "calls"), "utf8")).toContain(
            `plugin install resource command v${npmVersion("command")}`,
        );
    });

    it("says all that is wrong if there is neither pulumi nor go", async () => {
        await expect(findEngine({ home: home(), log, env })).rejects.toThrow(
            /no Pulumi engine on this machine: there is no `pulumi` on PATH; .* Go 1\.\S+ or newer: there is no `go` on PATH\. Install one of the two: https/,
        );
    });

    it("says which versions are too old", async () => {
        script("path/pulumi", pulumiScript("v3.100.0"));
        script("path/go", goScript("exit 9", "go1.19.8"));
        await expect(findEngine({ home: home(), log, env })).rejects.toThrow(
            new RegExp(
                `path/pulumi is v3.100.0, and v${sdk} or newer is needed; .*the \`go\` on PATH is 1.19.8`,
            ),
        );
    });

    it("does not take what is no pulumi for one", async () => {
        script("path/pulumi", "echo I am something else");
        await expect(findEngine({ home: home(), log, env })).rejects.toThrow(
            "path/pulumi does not say its version",
        );
    });

    it.each([
        ["has no Node.js language host", "null"],
        ["does not say", "nothing that is JSON"],
    ])("does not take a pulumi that %s for one that is there", async (_what, runtime) => {
        script("path/pulumi", pulumiScript(`v${sdk}`, "exit 9", runtime));
        script("path/go", goScript('echo binary >"$out"'));
        installPlugins("user/.pulumi");
        const { kind, description } = await findEngine({ home: home(), log, env });
        expect(kind).toBe("offline");
        expect(description).toMatch(
            /: \S+\/path\/pulumi can't run Node.js programs: it does not find pulumi-language-nodejs$/,
        );
        expect(fs.readFileSync(path.join(root, "calls"), "utf8")).not.toContain("plugin install");
    });

    it("takes plugins on PATH, as the engine does, unless the user tells it not to", async () => {
        script("path/pulumi", pulumiScript(`v${sdk}`, "echo 'error: no such host' >&2; exit 1"));
        script("path/go", goScript('echo binary >"$out"'));
        for (const name of ["digitalocean", "command"]) script(`path/pulumi-resource-${name}`, "");
        const engine = await findEngine({ home: home(), log, env });
        expect(engine.kind).toBe("official");
        const ignoring = { ...env, PULUMI_IGNORE_AMBIENT_PLUGINS: "true" };
        expect((await findEngine({ home: home(), log, env: ignoring })).kind).toBe("offline");
    });

    it("goes on offline if plugins can't be had, and does not ask again for a while", async () => {
        const dns = "warning: Error downloading plugin: no such host";
        script(
            "path/pulumi",
            pulumiScript(`v${sdk}`, `echo "${dns}" >&2; echo "error: failed all 5 attempts" >&2; exit 255`),
        );
        script("path/go", goScript('echo binary >"$out"'));
        for (const times of [1, 2]) {
            const { kind, description } = await findEngine({ home: home(), log, env });
            expect(kind).toBe("offline");
            expect(description).toContain("can't install its plugin digitalocean");
            expect(description).toContain("no such host");
            expect(description.includes("to try again")).toBe(times === 2);
        }
        expect(fs.readFileSync(path.join(root, "calls"), "utf8").match(/plugin install/g)).toHaveLength(1);
    });

    it("makes an offline engine that needs nothing of this checkout and can be made again at any time", async () => {
        script("path/go", goScript('echo binary >"$out"'));
        const first = await findEngine({ home: home(), log, env });
        expect(first.kind).toBe("offline");
        expect(first.description).toMatch(
            /^Pulumi v3\.\S+ built from its Go modules, with .* digitalocean v\S+ and command v\S+: there is no `pulumi`/,
        );
        expect(first.env).toMatchObject({
            PATH: `${home()}/bin:${env.PATH}`,
            PULUMI_HOME: home(),
            PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
            PULUMI_DISABLE_REGISTRY_RESOLVE: "true",
            PULUMI_SKIP_UPDATE_CHECK: "true",
        });
        expect(fs.readFileSync(`${home()}/bin/pulumi`, "utf8")).toBe("binary\n");
        const executables = [
            `${home()}/bin/pulumi-language-nodejs`,
            ...pluginFolders.map((folder) => `${home()}/plugins/${folder}/pulumi-${folder.split("-v")[0]}`),
        ];
        for (const file of executables) {
            expect(fs.statSync(file).mode & 0o111).toBe(0o111);
            expect(fs.readFileSync(file, "utf8")).not.toContain(process.cwd());
            expect(fs.readFileSync(`${file}.cjs`, "utf8")).not.toContain(process.cwd());
        }
        const inodes = () => executables.map((file) => fs.statSync(file).ino);
        const before = inodes();
        // With what `make env` prints in the shell.
        const again = await findEngine({ home: home(), log, env: { ...env, ...first.env } });
        expect(again).toEqual(first);
        expect(inodes()).toEqual(before);
        expect(fs.readFileSync(path.join(root, "builds"), "utf8")).toBe("local -mod=readonly\n");
    });

    it("goes from offline to official and back when the machine changes, leaving the user's plugins alone", async () => {
        script("path/go", goScript('echo binary >"$out"'));
        const offline = await findEngine({ home: home(), log, env });
        script("later/pulumi", pulumiScript(`v${sdk}`));
        installPlugins("user/.pulumi");
        const withPulumi = { ...env, ...offline.env, PATH: `${offline.env.PATH}:${root}/later` };
        const official = await findEngine({ home: home(), log, env: withPulumi });
        expect(official).toMatchObject({ kind: "official", env: { PATH: `${env.PATH}:${root}/later` } });
        expect((await findEngine({ home: home(), log, env })).kind).toBe("offline");
        expect(fs.readdirSync(path.join(root, "user/.pulumi/plugins")).sort()).toEqual(
            [...pluginFolders].sort(),
        );
    });
});

describe("buildCli", () => {
    it("builds once for two callers at the same time", async () => {
        script("path/go", goScript('sleep 1; echo binary >"$out"'));
        const [one, two] = await Promise.all([buildCli(log, env), buildCli(log, env)]);
        expect(one).toBe(two);
        expect(fs.readFileSync(one, "utf8")).toBe("binary\n");
        expect(fs.readFileSync(path.join(root, "builds"), "utf8").trim().split("\n")).toHaveLength(1);
        expect(lines.some((line) => /making Pulumi v3\.\S+ in .*\(once, about 5 minutes/.test(line))).toBe(
            true,
        );
        expect(lines.join("\n")).toContain("waiting for another process that makes Pulumi v3.");
    });

    it("shows the compiler's words when it fails, leaves nothing half done, and succeeds the next time", async () => {
        script("path/go", goScript('echo half >"$out"; echo "x.go:1: syntax error" >&2; exit 1'));
        await expect(buildCli(log, env)).rejects.toThrow("x.go:1: syntax error");
        script("path/go", goScript('echo binary >"$out"'));
        expect(fs.readFileSync(await buildCli(log, env), "utf8")).toBe("binary\n");
    });

    it("takes over from a builder that was killed", async () => {
        script("path/go", goScript(`echo $$ >${root}/tmp; mv ${root}/tmp ${root}/pid; exec sleep 60`));
        const module = path.resolve("sandbox/offline-engine/build-cli.ts");
        const build = `import("${module}").then((m) => m.buildCli(() => {}, ${JSON.stringify(env)}))`;
        const builder = execa(process.execPath, ["--import=tsx", "-e", build], {
            env: { XDG_CACHE_HOME: path.join(root, "cache") },
            reject: false,
        });
        const goPid = await vi.waitFor(() => Number(fs.readFileSync(path.join(root, "pid"), "utf8")), 20_000);
        expect(goPid).toBeGreaterThan(1);
        builder.kill("SIGKILL");
        process.kill(goPid, "SIGKILL");
        await builder;
        script("path/go", goScript('echo binary >"$out"'));
        expect(fs.readFileSync(await buildCli(log, env), "utf8")).toBe("binary\n");
    }, 60_000);
});
