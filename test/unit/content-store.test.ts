import { spawnSync } from "node:child_process";
import {
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { haproxyScript } from "../../components/haproxy/apply";
import { renderHaproxyConfig } from "../../components/haproxy/render";
import { packCommand, readRelease } from "../../lib/release";
import { setupText } from "../../userdata/multipart";
import { haproxySettings } from "../haproxy-settings";
import { makeSite } from "../releases.mts";

let root: string;
beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), "dropscale-store-"));
    for (const folder of ["etc/haproxy", "run", "bin", "site/releases"])
        mkdirSync(path.join(root, folder), { recursive: true });
});
afterEach(() => {
    rmSync(root, { recursive: true });
});

const bash = (script: string, args: string[] = [], env: Record<string, string> = {}) => {
    const { status, stdout, stderr } = spawnSync("bash", ["-c", script, "script", ...args], {
        env: { ...process.env, PATH: `${root}/bin:${process.env.PATH}`, ...env },
        encoding: "utf8",
    });
    return { code: status, stdout, stderr };
};
const site = (word: string) => {
    const folder = makeSite(word, { folder: path.join(root, "sites", word) });
    return { folder, name: readRelease(folder).name };
};
const packed = ({ folder }: { folder: string }) => `(cd ${folder}; ${packCommand})`;
/** Puts a command of this text before the machine's own. */
const stub = (name: string, text: string) => {
    writeFileSync(path.join(root, "bin", name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
};

describe("the store on the load balancer", () => {
    /** In a folder of the test's, in place of a machine's. */
    const text = () =>
        haproxyScript.text
            .replaceAll("/var/lib/dropscale", root)
            .replaceAll("/etc/", `${root}/etc/`)
            .replaceAll(/(?<![\w/.-])\/run\b/g, `${root}/run`);
    const script = (...args: string[]) => bash(text(), args);
    /** Its functions, and what to do with them. */
    const inside = (commands: string) => bash(text().replace(/\ncase [^]*$/, `\n${commands}\n`));
    const take = (of: ReturnType<typeof site>) => {
        const taken = bash(`${packed(of)} | { ${text()}\n}`, ["take", of.name]);
        expect(taken).toMatchObject({ code: 0, stderr: "" });
        return taken.stdout.trim();
    };
    const store = (file: string) => path.join(root, "content", file);
    const line = (file: string) => readFileSync(store(file), "utf8").trim();
    const releases = () => readdirSync(store("releases")).sort();
    const age = (hours: number, ...names: string[]) =>
        bash(`cd ${store("releases")} && touch -d '${hours} hours ago' "$@"`, names);
    /** A haproxy.cfg of ours, of no servers. */
    const serve = () => {
        writeFileSync(
            path.join(root, "etc/haproxy/haproxy.cfg"),
            renderHaproxyConfig({ ...haproxySettings, servers: [] }),
        );
    };

    it("says the way out where what was sent was gone over", () => {
        serve();
        const [one, two] = [site("one"), site("two")];
        expect(script("push", take(one))).toMatchObject({ code: 0, stderr: "" });
        const failed = take(two);
        expect(script("rollback", one.name)).toMatchObject({ code: 0, stderr: "" });
        const refused = script("push", failed);
        expect(refused.code).toBe(1);
        expect(refused.stderr).toMatch(
            /nothing was changed[^]*`pulumi up --replace '\*\*:Command::content-sent'`/,
        );
        expect(line("current")).toBe(one.name);
    });

    it("keeps what failed for three hours, and what is served or was", () => {
        serve();
        const [one, two, failed, later] = [site("one"), site("two"), site("failed"), site("later")];
        for (const of of [one, two]) script("push", take(of));
        take(failed);
        age(2, one.name, two.name, failed.name);
        take(later);
        expect(releases()).toContain(failed.name);
        age(4, one.name, two.name, failed.name, later.name);
        // What is asked for is about to be pushed.
        expect(script("check", later.name, "1", "1").stdout).toBe("have\n");
        expect(releases()).toEqual([one.name, two.name, later.name].sort());
    });

    it("loses nothing to a disk that is full", () => {
        serve();
        const [one, two] = [site("one"), site("two")];
        for (const of of [one, two]) script("push", take(of));
        age(4, one.name, two.name);
        stub("tail", "cat >/dev/null; exit 1");
        const pushed = script("push", take(one));
        expect(pushed.code).toBe(1);
        expect(pushed.stderr).toContain("the load balancer has no room to");
        expect(releases()).toEqual([one.name, two.name].sort());
        expect(line("history")).toBe(`${one.name}\n${two.name}`);
        mkdirSync(store("newest.new"));
        const before = line("newest");
        expect(script("rollback").stderr).toContain("the load balancer has no room in");
        expect(line("newest")).toBe(before);
    });

    it("keeps no release that the disk would not take", () => {
        const one = site("one");
        stub("sync", "exit 1");
        expect(bash(`${packed(one)} | { ${text()}\n}`, ["take", one.name]).code).toBe(1);
        expect(releases()).toEqual([]);
    });

    it.each([
        ["what servers serve", true],
        ["what was sent, where none serves any", false],
    ])("of a new load balancer begins with %s", (_what, isServed) => {
        const [old, sent] = [site("old"), site("sent")];
        take(sent);
        expect(existsSync(store("current"))).toBe(false);
        const { code, stderr } = inside(`
            release_on() { echo "${isServed ? old.name : "none"} 1 1 has"; }
            on_server() { tar -c -C ${old.folder} .; }
            name=(web-0) target=(192.0.2.1:80) pending=(0) answers=$(mktemp -d)
            prepare_bringing`);
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        expect(line("current")).toBe((isServed ? old : sent).name);
        expect(existsSync(store("first"))).toBe(false);
    });

    it("says what room it lacks itself; a server that has none is the push's to find", () => {
        serve();
        const one = site("one");
        expect(script("room", one.name, "1", "1").stdout).toBe("send\n");
        expect(script("room", one.name, "1000000000000", "1").stderr).toMatch(
            /^nothing was sent:\n {2}the load balancer has no room: the release needs/,
        );
        take(one);
        const { stdout, stderr } = inside(`
            all_servers() { echo web-0 192.0.2.1; }
            release_on() { echo "none 3 1000 lacks"; }
            take_lock() { :; }
            now() { :; }
            push ${take(one)}`);
        expect(stdout).toBe("");
        expect(stderr).toMatch(
            /^no server was switched.*\n {2}web-0: the release needs 0 MiB, 0 MiB are free\n/,
        );
    });
});

describe("the releases on a server", () => {
    const answer = (command: string, input = ":") =>
        bash(`${input} | sh -c "$ANSWER"`, [], {
            SSH_ORIGINAL_COMMAND: command,
            ANSWER: `${setupText("name-of.sh")}\n${setupText("answer.sh").replace("/var/lib/dropscale", root)}`,
        });
    const take = (of: ReturnType<typeof site>) => answer(`take ${of.name}`, `tar -c -C ${of.folder} .`);
    const releases = () => readdirSync(path.join(root, "site/releases"));

    it("do not pile up where pushes fail, and what is served stays", () => {
        const served = site("served");
        take(served);
        expect(answer(`switch ${served.name}`).stdout).toMatch(new RegExp(`^release ${served.name} `));
        for (let i = 0; i < 6; i++) {
            const failed = site(`failed-${i}`);
            expect(take(failed)).toMatchObject({
                code: 0,
                stdout: expect.stringContaining("has\n") as string,
            });
            expect(answer(`offer ${failed.name}`).code).toBe(0);
            expect(releases()).toContain(failed.name);
        }
        // Four, what is served, and what was offered before.
        expect(releases().length).toBeLessThanOrEqual(6);
        expect(releases()).toContain(served.name);
        expect(answer("settle")).toMatchObject({ code: 0, stderr: "" });
        expect(releases()).toHaveLength(5);
        expect(releases()).toContain(served.name);
    });

    it("are none that the disk would not take", () => {
        stub("sync", "exit 1");
        expect(take(site("one"))).toMatchObject({ code: 1, stderr: "it could not be kept\n" });
        expect(releases()).toEqual([]);
    });
});
