import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { get } from "./e2e/client.ts";

/** Path that the servers of {@link prepareServers} are asked for: a page of the content itself. */
export const healthPath = "/ok.txt";

/** A folder to push, whose page needs a file that no other release has: a browser would ask for it next. */
export function makeSite(
    word: string,
    { isHealthy = true, folder = mkdtempSync(path.join(tmpdir(), "dropscale-site-")) } = {},
): string {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(path.join(folder, "assets"), { recursive: true });
    writeFileSync(
        path.join(folder, "index.html"),
        `<h1>release ${word}</h1><script src="/assets/${word}.js"></script>\n`,
    );
    writeFileSync(path.join(folder, "assets", `${word}.js`), `// ${word}\n`);
    if (isHealthy) writeFileSync(path.join(folder, healthPath), "ok\n");
    return folder;
}

/** In which file of a server its job writes when it begins and ends, in seconds. */
export const jobLog = "/run/job.log";

const job = `stamp() { echo "$1 $(date +%s.%N)" >>${jobLog}; }; stamp begin; sleep 2; stamp end`;
const jobs = "while sleep 0.5; do dropscale-once /usr/local/sbin/job; done";
const script = (name: string, text: string): string =>
    `  - path: /usr/local/sbin/${name}\n    permissions: "0755"\n    content: |\n      #!/bin/sh\n      ${text}\n`;

/**
 * Edits a copy of the program: its servers' own page has {@link healthPath}, and each tries all the time to run a job of two
 * seconds that is to run on one of them.
 */
export function prepareServers(folder: string): void {
    const file = path.join(folder, "userdata/nginx.yaml");
    const text = readFileSync(file, "utf8")
        .replace("mkdir -p /var/www/app\n", `mkdir -p /var/www/app && echo ok >/var/www/app${healthPath}\n`)
        .replace("write_files:\n", `write_files:\n${script("job", job)}${script("jobs", jobs)}`)
        .replace("runcmd:\n", "runcmd:\n  - systemd-run --unit=jobs /usr/local/sbin/jobs\n");
    writeFileSync(file, text);
}

/** Shorter leases, for a test that would wait for one. */
export function lendBriefly(folder: string): void {
    const file = path.join(folder, "components/haproxy/tick.sh");
    writeFileSync(
        file,
        readFileSync(file, "utf8").replace(
            /LEASE_SECONDS=\d+ MARGIN_SECONDS=\d+ TICK_SECONDS=\d+/,
            "LEASE_SECONDS=12 MARGIN_SECONDS=4 TICK_SECONDS=3",
        ),
    );
}

/** Somebody who reads the page and the file that it needs, each from any server, and remembers what was wrong. */
export class Reader {
    /** Releases whose page was seen. */
    readonly seen = new Set<string>();
    readonly failures: string[] = [];
    pages = 0;
    private stopped = false;
    private readonly loops: Promise<void>[];

    constructor(private readonly url: string) {
        this.loops = Array.from({ length: 3 }, () => this.read());
    }

    async stop(): Promise<void> {
        this.stopped = true;
        await Promise.all(this.loops);
    }

    private async read(): Promise<void> {
        while (!this.stopped) {
            const page = await get(this.url);
            const word = /<h1>release (\w+)<\/h1>/.exec(page.body ?? "")?.[1];
            if (word === undefined)
                this.failures.push(`/: ${page.error ?? page.status ?? ""} ${page.body?.slice(0, 80) ?? ""}`);
            else {
                this.seen.add(word);
                const file = await get(`${this.url}/assets/${word}.js`);
                if (file.body !== `// ${word}\n`)
                    this.failures.push(`${word}.js: ${file.error ?? file.status ?? ""}`);
            }
            this.pages++;
            await sleep(20);
        }
    }
}
