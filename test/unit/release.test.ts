import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sendScript } from "../../components/content/send";
import { Mistakes } from "../../lib/config-rules";
import { packCommand, readRelease } from "../../lib/release";
import { setupText } from "../../userdata/multipart";
import { runProgram } from "../mocks";

let folder: string;
beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "dropscale-release-"));
});
afterEach(() => {
    rmSync(folder, { recursive: true });
});

const put = (file: string, text = "x", mode = 0o644, root = folder): void => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text, { mode });
};
/** The name that a server gives what is there. */
const nameThere = (root: string): string =>
    execFileSync("sh", ["-c", `${setupText("name-of.sh")}\nname_of "$1"`, "sh", root], {
        encoding: "utf8",
    }).trim();
function problems(root = folder): string {
    try {
        readRelease(root);
    } catch (error) {
        if (error instanceof Mistakes) return error.problems.join("\n");
        throw error;
    }
    throw new Error("it was accepted");
}

describe("a release", () => {
    it("has the name that a server computes of it, whatever the files are called", () => {
        const part = fc.stringMatching(/^[-\w .é"'$*#]{1,12}$/).filter((name) => !/^\.{1,2}$/.test(name));
        const file = fc.tuple(
            fc.array(part, { minLength: 1, maxLength: 3 }),
            fc.string({ maxLength: 20 }),
            fc.boolean(),
        );
        fc.assert(
            fc.property(fc.array(file, { maxLength: 8 }), (files) => {
                const root = mkdtempSync(path.join(folder, "tree-"));
                put("index.html", "page", 0o644, root);
                for (const [parts, text, isExecutable] of files) {
                    // One file's folder may be another file.
                    try {
                        put(parts.join("/"), text, isExecutable ? 0o755 : 0o640, root);
                    } catch {
                        continue;
                    }
                }
                expect(readRelease(root).name).toBe(nameThere(root));
            }),
            // Seen: to sha256sum, `-` was its stdin.
            { numRuns: 12, examples: [[[[["-"], " ", false]]]] },
        );
    });

    it("arrives as what it is, links too; empty folders, times and modes are no part of it", () => {
        put("index.html");
        put("a/b.sh", "echo", 0o755);
        symlinkSync("a/b.sh", path.join(folder, "link"));
        symlinkSync("../a/../link", path.join(folder, "a/again"));
        const { name, files, bytes, parts } = readRelease(folder);
        expect({ files, bytes }).toEqual({ files: 2, bytes: 5 });
        expect(parts).toEqual({
            "a/b.sh": expect.stringMatching(/^4 bytes, [0-9a-f]{12}, executable$/) as string,
            "index.html": expect.stringMatching(/^1 bytes, [0-9a-f]{12}$/) as string,
            "a/again": "a link to ../a/../link",
            link: "a link to a/b.sh",
        });
        const other = mkdtempSync(path.join(tmpdir(), "dropscale-other-"));
        execFileSync("bash", ["-c", `{ ${packCommand}; } | tar -xz -C "$1"`, "bash", other], { cwd: folder });
        mkdirSync(path.join(other, "empty"));
        chmodSync(path.join(other, "index.html"), 0o600);
        utimesSync(path.join(other, "index.html"), 0, 0);
        expect(readRelease(other).name).toBe(name);
        expect(nameThere(other)).toBe(name);
        chmodSync(path.join(other, "a/b.sh"), 0o644);
        expect(readRelease(other).name).not.toBe(name);
        rmSync(other, { recursive: true });
    });

    it("of many files is shown by folders, and of many folders as a sum", () => {
        for (let i = 0; i < 60; i++) for (const part of ["a", "b"]) put(`${part}/${i}.txt`);
        put("index.html");
        expect(readRelease(folder).parts).toEqual({
            "a/": expect.stringMatching(/^60 files, 60 bytes, [0-9a-f]{12}$/) as string,
            "b/": expect.any(String) as string,
            "index.html": expect.any(String) as string,
        });
        for (let i = 0; i < 120; i++) put(`top-${i}`);
        expect(Object.keys(readRelease(folder).parts)).toEqual(["all"]);
    });

    it("is refused with all that is wrong, before anything is sent", () => {
        put("page.html");
        put("new\nline.html");
        put("back\\slash");
        put(".git/config");
        symlinkSync("/etc/passwd", path.join(folder, "absolute"));
        symlinkSync("../../etc/passwd", path.join(folder, "out"));
        symlinkSync("nowhere", path.join(folder, "dangling"));
        symlinkSync(`../${path.basename(folder)}/page.html`, path.join(folder, "back"));
        execFileSync("mkfifo", [path.join(folder, "pipe")]);
        const found = problems();
        for (const words of [
            '"new\\nline.html" has a control character',
            "back\\slash has a control character, a backslash or no UTF-8 in its name",
            "it holds .git, which would be published; give the folder that is built",
            "the link absolute leads to /etc/passwd, which is another place on a server; make it a relative link",
            `the link back leads to ../${path.basename(folder)}/page.html, out of the folder`,
            "the link dangling leads to nowhere, no such file or folder",
            "the link out leads to ../../etc/passwd, ",
            "pipe is neither a file nor a folder",
            "there is no index.html, index.htm, index.php in it",
        ])
            expect(found).toContain(words);
        expect(found.split("\n").every((line) => line.startsWith(`the content folder ${folder}: `))).toBe(
            true,
        );
    });

    it("is no file, no empty folder and nothing that is not there", () => {
        expect(problems()).toBe(`the content folder ${folder} is empty; is the site built?`);
        expect(problems(path.join(folder, "no"))).toContain("can't be read: no such file or folder");
        put("file");
        expect(problems(path.join(folder, "file"))).toContain("is no folder");
    });

    it.runIf(process.getuid?.() === 0)("names what can't be read", () => {
        put("index.html");
        put("secret.html", "x", 0);
        put("closed/file");
        chmodSync(path.join(folder, "closed"), 0);
        chmodSync(folder, 0o755);
        process.seteuid?.(65534);
        try {
            expect(problems()).toContain("secret.html can't be read: permission denied");
            expect(problems()).toContain("closed can't be read: permission denied");
        } finally {
            process.seteuid?.(0);
        }
    });
});

describe.each([
    ["up", false],
    ["preview", true],
])("content in the config, in %s", (_mode, preview) => {
    it("is sent before new servers are asked, and pushed after they serve; the plan sees plain values", async () => {
        put("index.html");
        const content = folder;
        const { find } = await runProgram({ preview, config: { content } });
        const { name, files, bytes, parts } = readRelease(content);
        expect(find("Content", "content").inputs).toEqual({ content, release: name, files, bytes, parts });
        expect(find("command:local:Command", "content-sent").dependsOn).toContain("content-script");
        expect(find("command:remote:Command", "haproxy").dependsOn).toContain("content-sent");
        expect(find("command:remote:Command", "content-pushed").dependsOn).toEqual(
            expect.arrayContaining(["content-sent", "haproxy"]),
        );
    });

    it("is refused with its problems, beside all others", async () => {
        put("page.html");
        await expect(runProgram({ preview, config: { content: folder, replicas: -1 } })).rejects.toThrow(
            /'replicas' should be[^]*there is no index\.html/,
        );
    });
});

describe("what sends it", () => {
    const release = { folder: "it's dist", name: "0123456789abcdef", files: 3, bytes: 2049 };
    const options = {
        loadBalancerId: "1001",
        host: "198.51.100.1",
        hostKey: "ssh-ed25519 AAAAC3+/= dev-load-balancer",
        release,
    };

    it("is a script that bash reads, with the folder as one word and no key in it", () => {
        const script = sendScript(options);
        execFileSync("bash", ["-n"], { input: script });
        expect(script).toContain(`cd 'it'\\''s dist'\n`);
        expect(script).toContain("room 0123456789abcdef 3 3 <");
        expect(script).toContain("echo 'load-balancer ssh-ed25519 AAAAC3+/=' >");
    });

    it("sends nothing where the load balancer has no room for it", () => {
        put("bin/ssh-add", "#!/bin/sh\n", 0o755);
        put("bin/ssh", '#!/bin/sh\necho "$*" >&2\ncase $* in *" room "*) exit 1 ;; esac\n', 0o755);
        const { status, stderr } = spawnSync(
            "bash",
            ["-c", sendScript({ ...options, release: { ...release, folder } })],
            {
                env: { ...process.env, PATH: `${folder}/bin:${process.env.PATH}` },
                encoding: "utf8",
            },
        );
        expect(status).toBe(1);
        expect(stderr).toContain(" room 0123456789abcdef 3 3");
        expect(stderr).not.toContain(" take ");
    });

    it.each([{ host: "a b" }, { hostKey: "ssh-ed25519 a'b" }, { loadBalancerId: "1;2" }])(
        "refuses %j",
        (change) => {
            expect(() => sendScript({ ...options, ...change })).toThrow();
        },
    );
});
