import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { ensureMirror } from "../../sandbox/droplets/apt-mirror.ts";
import { defaultImage, releaseOf } from "../../sandbox/releases.ts";
import { readUserData } from "../../userdata/files";

/** Unpacked, not installed: what reads the files of userdata/varnish.yaml. How it behaves is in test/soak/varnish.test.ts. */
const packages =
    /^(varnish|libvarnishapi\d+|libjemalloc2|nginx|nginx-common|php[\d.]+-(fpm|common)|php-common|libxml2|libicu\d+|libsodium\d+|libargon2-1)_/;

describe("userdata/varnish.yaml, by the programs of Debian that read it", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "dropscale-varnish-"));
    const root = path.join(folder, "root");
    const run = (command: string) =>
        spawnSync("chroot", [root, "sh", "-c", command], { encoding: "utf8", maxBuffer: 1 << 26 });
    const put = (file: string, text: string, mode = 0o644) => {
        mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
        writeFileSync(path.join(root, file), text, { mode });
    };
    const file = (name: string) => readFileSync(path.join(root, name), "utf8");

    beforeAll(async () => {
        const release = releaseOf(defaultImage);
        const { folder: mirror, lowerdir } = await ensureMirror(release, { log: console.error });
        for (const name of ["root", "upper", "work"]) mkdirSync(path.join(folder, name));
        const layers = `lowerdir=${lowerdir},upperdir=${folder}/upper,workdir=${folder}/work`;
        execFileSync("mount", ["-t", "overlay", "overlay", "-o", layers, root]);
        const pool = path.join(mirror, "debian/pool", release.suite);
        for (const deb of readdirSync(pool).filter((name) => packages.test(name)))
            execFileSync("sh", [
                "-c",
                'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"',
                "sh",
                path.join(pool, deb),
                root,
            ]);
        const { write_files } = parse(readUserData("varnish")) as {
            write_files: { path: string; content: string; permissions?: string }[];
        };
        for (const { path: name, content, permissions = "644" } of write_files)
            put(name, content, parseInt(permissions, 8));
    });
    afterAll(() => {
        spawnSync("umount", [root]);
        rmSync(folder, { recursive: true });
    });

    // It makes C of them; what compiles that is not unpacked.
    test("Varnish takes the rules, and says what is wrong with others", () => {
        const wrong = "Message from VCC-compiler";
        const { stderr } = run("varnishd -C -f /etc/varnish/app.vcl");
        expect(stderr).not.toContain(wrong);
        expect(stderr).toContain("EXTERNAL SYMBOL TABLE");
        const text = file("etc/varnish/app.vcl");
        put("etc/varnish/wrong.vcl", text.replace("return (pass);", "return (past);"));
        expect(run("varnishd -C -f /etc/varnish/wrong.vcl").stderr).toMatch(
            new RegExp(`${wrong}:\nExpected return action name.\n`),
        );
    });

    test("Varnish takes its parameters, and knows of no others", () => {
        const unit = file("etc/systemd/system/varnish.service.d/app.conf").replaceAll("\\\n", " ");
        const parameters = (unit.match(/-p \w+=\w+/g) ?? []).join(" ");
        expect(parameters).toContain("nuke_limit=");
        const start = (more: string) =>
            run(`varnishd ${parameters} ${more} -C -f /etc/varnish/app.vcl`).stderr;
        expect(start("")).toContain("EXTERNAL SYMBOL TABLE");
        expect(start("-p nuke_limits=1")).toContain("Unknown parameter");
    });

    test.each([
        // MiB, MiB of pages, PHP's processes
        [512, 50, 2],
        [960, 143, 3],
        [1024, 159, 4],
        [2048, 415, 11],
        [8192, 1951, 16],
    ])("%i MiB are shared out, on one core", (total, cache, children) => {
        put("proc/meminfo", `MemTotal:        ${total * 1024} kB\n`);
        put("usr/local/bin/nproc", "#!/bin/sh\necho 1\n", 0o755);
        expect(run("PATH=/usr/local/bin:$PATH /usr/local/sbin/fit-memory")).toMatchObject({
            status: 0,
            stderr: "",
        });
        expect(file("etc/varnish/memory")).toBe(`CACHE=${cache}M\n`);
        const [version = ""] = readdirSync(path.join(root, "etc/php"));
        expect(file(`etc/php/${version}/fpm/pool.d/zz-app.conf`)).toContain(
            `pm.max_children = ${children}\n`,
        );
        expect(run(`php-fpm${version} --test`).stderr).toContain("test is successful");
    });

    test("nginx takes its site", () => {
        expect(
            run(
                "rm -f /etc/nginx/sites-enabled/* /etc/nginx/modules-enabled/*; ln -s /etc/nginx/sites-available/app /etc/nginx/sites-enabled/app; nginx -t",
            ).stderr,
        ).toContain("test is successful");
    });
});
