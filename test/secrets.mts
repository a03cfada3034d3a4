import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import * as path from "node:path";

/** A value that nobody may read, and what to call it: findings never repeat the value. */
export interface Secret {
    name: string;
    value: string;
}

/** A secret that stands where it should not. */
export interface Leak {
    secret: string;
    /** File, process or command. */
    where: string;
}

/** Every ed25519 key in OpenSSH's format begins so: format, cipher and lengths, no key. */
const commonStart = Buffer.from("openssh-key-v1\0").toString("base64").slice(0, -4);

/**
 * Texts that give a secret away: each of its lines plain and URL-encoded, in hexadecimal, and in base64 at each of the
 * three ways in which it may stand in a longer text. Lines that say nothing (`-----BEGIN …`) are left out.
 */
export function formsOf({ value }: Secret): string[] {
    const lines = value.split("\n").map((line) => line.trim());
    const telling = lines.filter(
        (line) => line.length >= 8 && !line.startsWith("-----") && !line.startsWith(commonStart),
    );
    return [...new Set(telling.flatMap(formsOfLine))];
}

function formsOfLine(line: string): string[] {
    const shifted = [0, 1, 2].map((shift) => {
        const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(line)]);
        // The first and the last group of four hold bits of the neighbours, too.
        return bytes.toString("base64").slice(4, -4);
    });
    return [line, encodeURIComponent(line), Buffer.from(line).toString("hex"), ...shifted];
}

/** Looks for secrets in texts, files and processes. */
export class SecretSearch {
    readonly #forms: { name: string; bytes: Buffer }[];

    constructor(secrets: readonly Secret[]) {
        this.#forms = secrets.flatMap((secret) =>
            formsOf(secret).map((form) => ({ name: secret.name, bytes: Buffer.from(form) })),
        );
    }

    /** All forms of all secrets, one a line: for `grep -F -f`. */
    get patterns(): string {
        return this.#forms.map(({ bytes }) => `${bytes.toString()}\n`).join("");
    }

    /** @param where What the content is, for the finding. */
    inText(where: string, content: string | Buffer): Leak[] {
        const bytes = Buffer.from(content);
        const found = this.#forms.filter((form) => bytes.includes(form.bytes)).map(({ name }) => name);
        return [...new Set(found)].map((secret) => ({ secret, where }));
    }

    /** Names, link targets and contents of all files below a folder; links are not followed. */
    inFolder(folder: string, isLeftOut: (file: string) => boolean = () => false): Leak[] {
        return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
            const file = path.join(folder, entry.name);
            if (isLeftOut(file)) return [];
            const name = this.inText(file, file);
            if (entry.isDirectory()) return [...name, ...this.inFolder(file, isLeftOut)];
            if (entry.isSymbolicLink()) return [...name, ...this.inText(file, readlinkSync(file))];
            return entry.isFile() ? [...name, ...this.inText(file, readFileSync(file))] : name;
        });
    }

    /** Command lines of all processes of this host. */
    inProcesses(): Leak[] {
        return processes().flatMap(({ name, command }) => this.inText(name, command));
    }
}

interface Process {
    /** For a finding: its number, and its program. */
    name: string;
    command: Buffer;
}

/** All processes of this host, those in droplets among them: everybody can read their command lines. */
function processes(): Process[] {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return pids.map((pid) => {
        const command = readIfThere(`/proc/${pid}/cmdline`);
        const [program = ""] = command.toString().split("\0");
        return { name: `process ${pid} (${path.basename(program)})`, command };
    });
}

/**
 * Looks at the processes again and again until it is stopped; then it looks in what it has seen for secrets, also for those
 * that were made in between. It tells how often it looked.
 */
export function watchProcesses(): (search?: SecretSearch) => { looks: number; leaks: Leak[] } {
    const seen = new Map<string, Process>();
    let looks = 0;
    const look = () => {
        looks++;
        for (const one of processes()) seen.set(one.command.toString("latin1"), one);
    };
    look();
    const timer = setInterval(look, 250);
    return (search) => {
        clearInterval(timer);
        const all = [...seen.values()];
        return { looks, leaks: all.flatMap(({ name, command }) => search?.inText(name, command) ?? []) };
    };
}

/** A process may end while one looks. */
function readIfThere(file: string): Buffer {
    try {
        return readFileSync(file);
    } catch {
        return Buffer.alloc(0);
    }
}
