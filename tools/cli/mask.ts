import { readFileSync, statSync } from "node:fs";
import * as path from "node:path";

/** Shorter ones would be found everywhere, as the word `dropscale` would. */
const minLength = 12;

/** What the names of variables that hold secrets have in them: no list of names keeps up with what there is. */
const secretName = /TOKEN|SECRET|PASS|KEY|CREDENTIAL|AUTH(?!OR)/i;

/** A file that is longer is no secret. */
const maxFileBytes = 65_536;

/** Secrets that this process has read elsewhere. */
const learned = new Set<string>();

/** Has {@link mask} know a secret that stands in no variable, such as an output of the stack. */
export function learnSecret(secret: string): void {
    for (const part of partsOf(secret)) learned.add(part);
}

/**
 * Takes the secrets of this process's environment out of a text, and those that it has learnt. The engine masks what it
 * knows to be secret, and pipelines what they gave out; this is for what slips by both.
 */
export function mask(text: string): string {
    return maskSecrets(text, [...secretsOf(process.env), ...learned]);
}

/** A copy of data with every text in it masked: once it is escaped for Markdown, a secret is another text. */
export function maskAll<T>(data: T): T {
    const secrets = [...secretsOf(process.env), ...learned];
    const masked = (_key: string, value: unknown): unknown =>
        typeof value === "string" ? maskSecrets(value, secrets) : value;
    return JSON.parse(JSON.stringify(data), masked) as T;
}

/** Masks what comes in pieces, line by line; a line is passed on when it is whole, the last one by `end`. */
export function maskingWriter(write: (text: string) => void): {
    write: (text: string) => void;
    end: () => void;
} {
    let rest = "";
    return {
        write: (text) => {
            const lines = (rest + text).split("\n");
            rest = lines.pop() ?? "";
            if (lines.length > 0) write(mask(lines.map((line) => `${line}\n`).join("")));
        },
        end: () => {
            write(mask(rest));
        },
    };
}

/**
 * Takes secrets out of a text, as they are and as they stand in a URL and in JSON.
 *
 * @param secrets Those of fewer than {@link minLength} characters are left.
 */
export function maskSecrets(text: string, secrets: readonly string[]): string {
    const known = secrets.filter((secret) => secret.length >= minLength);
    const forms = known.flatMap((secret) => [
        secret,
        encodeURIComponent(secret),
        JSON.stringify(secret).slice(1, -1),
    ]);
    // The longest first: one may hold another.
    return [...new Set(forms)]
        .sort((a, b) => b.length - a.length)
        .reduce((rest, secret) => rest.replaceAll(secret, "[secret]"), text)
        .replace(/-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?-----END [A-Z ]*PRIVATE KEY-----/g, "[secret]");
}

/** What an environment has that is secret: by the names of its variables, in the files that they name, and in URLs. */
export function secretsOf(env: Readonly<NodeJS.ProcessEnv>): string[] {
    return Object.entries(env).flatMap(([name, value = ""]) => [
        ...passwordsIn(value),
        ...(secretName.test(name) ? secretsIn(value) : []),
    ]);
}

/** `postgres://me:PASSWORD@host` */
function passwordsIn(value: string): string[] {
    return [...value.matchAll(/:\/\/[^\s/?#@:]*:([^\s/?#@]+)@/g)].map(([, password = ""]) => password);
}

/** The value or, where it is the path of a file (PULUMI_CONFIG_PASSPHRASE_FILE), what that file holds. */
function secretsIn(value: string): string[] {
    const stat = /[/\\]|^[\w.-]+$/.test(value)
        ? statSync(path.resolve(value), { throwIfNoEntry: false })
        : undefined;
    if (stat === undefined) return partsOf(value);
    if (!stat.isFile() || stat.size > maxFileBytes) return [];
    const text = readFileSync(path.resolve(value), "utf8");
    // `aws_secret_access_key = …`
    const values = text
        .split("\n")
        .flatMap((line) => /^[^=:]*[=:]\s*"?([^"]+)/.exec(line)?.[1]?.trim() ?? []);
    return [...partsOf(text), ...values];
}

/** A secret, and its lines: a text of several may be shown with an indentation. */
function partsOf(secret: string): string[] {
    return [secret.trim(), ...secret.split("\n").map((line) => line.trim())].filter(
        (part) => part.length >= minLength,
    );
}
