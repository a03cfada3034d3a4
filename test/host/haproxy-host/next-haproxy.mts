import { mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { buildOnce } from "../../../sandbox/build-once.ts";
import { hostApt } from "../../../sandbox/droplets/apt.ts";
import { firstLine, type Log, quote, run } from "../../../sandbox/host.ts";
import { cacheDir } from "../../../sandbox/instance.ts";
import { releaseOf } from "../../../sandbox/releases.ts";
import { debiansHaproxy } from "./host.ts";

/** The Debian after the one that droplets run by default. */
const next = releaseOf("debian-13-x64");

/**
 * The next Debian's HAProxy with its libraries, in the cache folder; nothing is installed on this host.
 *
 * @returns path of a command that runs it: a script that may stand in for /usr/sbin/haproxy.
 * @throws Error of one line: disk full, what apt said.
 */
export async function nextHaproxy({ log }: { log: Log }): Promise<string> {
    const target = path.join(cacheDir(), `haproxy-${next.suite}`);
    // The program would run itself again at a reload: by this name, not around its loader. ld.so(8)
    const libraries = path.join(target, "usr/lib/x86_64-linux-gnu");
    const script = [
        "#!/bin/sh",
        `exec ${quote(path.join(libraries, "ld-linux-x86-64.so.2"))} --argv0 "$0" --library-path ${quote(libraries)} \\`,
        `    ${quote(path.join(target, "usr/sbin/haproxy"))} "$@"`,
        "",
    ].join("\n");
    await buildOnce({
        target,
        title: `HAProxy of ${next.title}`,
        takes: "a few seconds",
        recipe: { suite: next.suite, script },
        needsMiB: 200,
        log,
        build: async (folder) => {
            const packages = path.join(folder, "packages");
            await download("haproxy", packages, log);
            for (const file of await readdir(path.join(packages, "archives")))
                if (file.endsWith(".deb"))
                    await run("dpkg-deb", ["--extract", path.join(packages, "archives", file), folder]);
            await run("rm", ["-rf", packages]);
            await writeFile(path.join(folder, "haproxy"), script, { mode: 0o755 });
        },
    });
    return path.join(target, "haproxy");
}

/** The same for tests, which leave out what needs it where it can't be had: aloud, and with CI=true by an error. */
export async function nextHaproxyIfAny(): Promise<string | undefined> {
    try {
        return await nextHaproxy({ log: console.error });
    } catch (error) {
        if (process.env.CI === "true") throw error;
        console.error(`LEFT OUT, HAProxy of ${next.title} can't be had: ${firstLine(error)}`);
        return undefined;
    }
}

/** For `describe.each`: whose HAProxy, and what finds its program; `undefined`: it can't be had. */
export const debians: [name: string, find: () => Promise<string | undefined>][] = [
    ["this Debian", () => Promise.resolve(debiansHaproxy)],
    ["the next Debian", nextHaproxyIfAny],
];

/** The one of them through which real requests go: this Debian's in `make test`, the next one's in `make soak`. */
export const debianOfThisRun = process.env.NEXT_DEBIAN ? debians.slice(1) : debians.slice(0, 1);

/** A package and all that it depends on, from the mirror that this host's apt uses. */
async function download(name: string, folder: string, log: Log): Promise<void> {
    for (const each of ["lists/partial", "archives/partial", "etc"])
        await mkdir(path.join(folder, each), { recursive: true });
    const { sources, options } = await hostApt(next, { log });
    await writeFile(path.join(folder, "etc/sources.list"), sources.join("\n") + "\n");
    const settings = {
        // Its own list of sources and no other; keys of Debian are where they always are.
        "Dir::Etc::sourcelist": path.join(folder, "etc/sources.list"),
        "Dir::Etc::sourceparts": "-",
        "Dir::State": folder,
        "Dir::State::lists": path.join(folder, "lists"),
        "Dir::State::status": "/dev/null", // nothing is installed: everything is downloaded
        "Dir::Cache": folder,
        "Dir::Cache::archives": path.join(folder, "archives"),
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "Acquire::Languages": "none",
    };
    const config = path.join(folder, "apt.conf");
    const values = Object.entries(settings).map(([key, value]) => `${key} "${value}";`);
    await writeFile(config, [...options, ...values].join("\n") + "\n");
    const env = { APT_CONFIG: config };
    await run("apt-get", ["update", "-q"], { env });
    await run("apt-get", ["install", "-qq", "--download-only", name], { env });
}
