import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { isMap, isScalar, parseDocument } from "yaml";
import { setSlackChannel, setSlackUrl, slackUrlKey } from "./alert-settings";
import { suggestion } from "./nearest";
import { isObject, jsonObject } from "./object-rules";

/**
 * What stands without quotes in the stack's own file, by key: Pulumi makes numbers, dates and booleans of some of it, and
 * hands over another text. Empty where there is no such file (`--config-file`).
 *
 * @param folder The project's.
 */
export function readUnquoted(folder: string, project: string, stack: string): Record<string, string> {
    const file = path.join(folder, `Pulumi.${stack}.yaml`);
    return existsSync(file) ? unquotedValues(readFileSync(file, "utf8"), project) : {};
}

/** The same, of the file's text. */
export function unquotedValues(text: string, project: string): Record<string, string> {
    const config = parseDocument(text).get("config");
    const pairs = isMap(config) ? config.items : [];
    return Object.fromEntries(
        pairs.flatMap(({ key, value }) => {
            const [prefix, name] = isScalar(key) ? String(key.value).split(":", 2) : [];
            return prefix === project &&
                name &&
                isScalar(value) &&
                value.type === "PLAIN" &&
                value.tag === undefined
                ? [[name, value.source ?? ""]]
                : [];
        }),
    );
}

/** The command that sets each secret, by its key, which may be that of a part of an object. */
const secrets = { tlsKey: "pulumi config set --secret tlsKey < FILE.pem", [slackUrlKey]: setSlackUrl };

/** What is wrong where secrets stand in the stack's own file for everybody to read; a secret is a map there, `secure: …`. */
export function readableSecrets(folder: string, project: string, stack: string): string[] {
    const file = path.join(folder, `Pulumi.${stack}.yaml`);
    const config = existsSync(file) ? parseDocument(readFileSync(file, "utf8")).get("config") : undefined;
    if (!isMap(config)) return [];
    const values = config.toJSON() as Record<string, unknown>;
    return Object.entries(secrets)
        .filter(([key]) => {
            const [first = "", ...parts] = key.split(".");
            return typeof partOf(values[`${project}:${first}`], parts) === "string";
        })
        .map(
            ([key, set]) =>
                `'${key}' should be a secret, got a text that everybody can read in ${path.basename(file)}; if others have seen it, ` +
                `get another; then ${set}`,
        );
}

/** What stands in an object, which may be JSON in a text. */
function partOf(value: unknown, [key, ...more]: readonly string[]): unknown {
    if (key === undefined) return value;
    const object = typeof value === "string" ? jsonObject(value) : value;
    return isObject(object) ? partOf(object[key], more) : undefined;
}

/**
 * Whether Pulumi made one text of another, because it stands in no quotes: `2026.1` of 2026.10, `8` of 010, `true` of
 * True, and a moment of a date.
 *
 * @param handed As the program gets it.
 */
export function isRewritten(written: string, handed: string): boolean {
    if (written === handed || handed === "") return false;
    if (/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.* UTC$/.test(handed)) return /^\d{4}-\d\d?-\d\d?/.test(written);
    if (written.toLowerCase() === handed) return handed === "true" || handed === "false";
    const number = written.replaceAll("_", "");
    const octal = /^[-+]?0[0-7]+$/.test(number) ? parseInt(number, 8) : NaN;
    const value = Number(handed);
    return !Number.isNaN(value) && [Number(number), octal].includes(value);
}

/** What to do about a key that there is not. A value that may be a secret is not repeated. */
export function unknownKeyAdvice(key: string, value: string, keys: readonly string[]): string {
    const [, list = ""] = /^(\w+)[.[]/.exec(key) ?? [];
    if (keys.includes(list)) {
        const set = setSecret(key) ?? `pulumi config set --path '${key}' ${value}`;
        return `without --path it is a key of its own, and no part of '${list}': pulumi config rm '${key}' && ${set}`;
    }
    const likely = suggestion(key, keys);
    return likely ? `did you mean '${likely}'?` : `the keys are ${keys.join(", ")}`;
}

/** The command for a part of the config that is a secret, or has one in it; `undefined` for any other. */
function setSecret(key: string): string | undefined {
    const [first = "", second, third] = key.split(/[.[\]"]+/);
    if (["tlsKey", "tlsCertificate"].includes(first)) return `pulumi config set --secret ${first} < FILE.pem`;
    if (first !== "alerts" || second !== "slack") return undefined;
    return third === "channel" ? setSlackChannel : setSlackUrl;
}
