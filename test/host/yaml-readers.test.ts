import { spawnSync } from "node:child_process";
import { beforeAll, describe, expect, test } from "vitest";
import { ensureBaseImage } from "../../sandbox/droplets/base-image.ts";
import { defaultImage, releaseOf } from "../../sandbox/releases.ts";
import { firstLineProblem } from "../../userdata/first-line";
import { readYaml } from "../../userdata/read-yaml";
import { PlainNumber } from "../../userdata/yaml-scalars";
import { readable, unreadable, yamlTexts } from "../yaml-texts";

/** Run in the image that boots: what its cloud-init reads in each text of stdin's list, as its handlers use it. */
const theirReader = `
import base64, json, sys, warnings
from cloudinit import safeyaml
warnings.simplefilter("ignore")
def plain(value):
    if isinstance(value, dict): return {"map": [[key if key in ("a", "b", "c", "d", "x y") else "odd", plain(item)] for key, item in value.items()]}
    if isinstance(value, list): return [plain(item) for item in value]
    if isinstance(value, bytes): return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, str): return value.rstrip()
    if isinstance(value, (int, float)) and not isinstance(value, bool): return "number"
    return value
def read(text):
    try:
        value = safeyaml.load(text)
        if value is not None and not isinstance(value, dict): raise TypeError("no map")
        safeyaml.load(safeyaml.dumps(value).encode().decode())
        json.dumps(plain(value), ensure_ascii=False).encode()
        return {"value": plain(value)}
    except Exception as error:
        return {"refused": str(error)}
print(json.dumps([read(text) for text in json.load(sys.stdin)]))
`;

/** What cloud-init takes each text of stdin's list for. */
const theirKinds = `
import json, sys
from cloudinit.handlers import type_from_starts_with
print(json.dumps([type_from_starts_with(text) for text in json.load(sys.stdin)]))
`;

type Answer = { value: unknown } | { refused: string };

let root: string;
function python<T>(program: string, texts: readonly string[]): T[] {
    const options = { input: JSON.stringify(texts), encoding: "utf8", maxBuffer: 1 << 28 } as const;
    const { status, stdout, stderr } = spawnSync("chroot", [root, "python3", "-c", program], options);
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as T[];
}

const theirs = (texts: readonly string[]) => python<Answer>(theirReader, texts);

function ours(text: string): Answer {
    const { value, problems } = readYaml(text);
    if (problems.length > 0) return { refused: problems.join("\n") };
    const shown = plain(value);
    const isMap = value === null || (typeof shown === "object" && Object.hasOwn(shown ?? {}, "map"));
    return isMap ? { value: shown } : { refused: "no map" };
}

/** As the Python above writes values. */
function plain(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(plain);
    if (value instanceof PlainNumber) return "number";
    if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("base64") };
    // What blanks end a text is of no account here, and PyYAML adds no line end at the end of a file without one.
    if (typeof value === "string") return value.trimEnd();
    if (typeof value !== "object" || value === null) return value;
    const name = (key: string) => (["a", "b", "c", "d", "x y"].includes(key) ? key : "odd");
    return { map: Object.entries(value).map(([key, item]) => [name(key), plain(item)]) };
}

/** The order of keys in a map says nothing, and JavaScript puts numbers first. */
const sorted = (value: unknown): string =>
    JSON.stringify(value, (_key, item: unknown) =>
        typeof item === "object" && item !== null && "map" in item && !Array.isArray(item)
            ? { map: (item.map as unknown[]).map(sorted).sort() }
            : item,
    );

const document = (text: string) => `${text}\n`;

describe("our reader of YAML and the one of the image's cloud-init", () => {
    beforeAll(async () => {
        root = (await ensureBaseImage(releaseOf(defaultImage), { log: console.error })).lowerdir;
    });

    test("refuse the same traps, and read the same in what else looks odd", () => {
        const refusals = theirs(unreadable.map(([text]) => `#cloud-config\n${text}\n`));
        expect(unreadable.filter((_, i) => !("refused" in (refusals[i] ?? {})))).toEqual([]);
        const taken = readable.map((text) => `#cloud-config\n${text}\n`);
        expect(taken.map(ours).map(sorted)).toEqual(theirs(taken).map(sorted));
    });

    test("know the same first lines", () => {
        const lines = [
            "#cloud-config",
            "#cloud-config # c",
            "#Cloud-Config \t\r",
            "#!/bin/sh",
            "#! /bin/sh -e",
        ];
        const kinds = python<string | null>(theirKinds, lines.map(document));
        expect(kinds.map((kind) => kind?.split("-").at(-1))).toEqual([
            "config",
            "config",
            "config",
            "shellscript",
            "shellscript",
        ]);
        expect(lines.map((line) => firstLineProblem(document(line)))).toEqual(lines.map(() => undefined));
        // What it does not know, and so ignores.
        const unknown = ["\ufeff#cloud-config", "# cloud-config", "packages: []", ""];
        expect(python(theirKinds, unknown)).toEqual(unknown.map(() => null));
        expect(unknown.map(firstLineProblem)).not.toContain(undefined);
    });

    test("agree on whatever is made up: of what it refuses ours takes nothing, and where both read, they read the same", () => {
        const texts = yamlTexts(1000, 12);
        const answers = theirs(texts);
        const takenByUsAlone: string[] = [];
        const readOtherwise: unknown[] = [];
        const counts = { taken: 0, refused: 0, refusedByUsAlone: 0 };
        for (const [i, text] of texts.entries()) {
            const [own, other] = [ours(text), answers[i] ?? { refused: "" }];
            if ("refused" in own) counts["refused" in other ? "refused" : "refusedByUsAlone"]++;
            else if ("refused" in other) takenByUsAlone.push(text);
            else {
                counts.taken++;
                if (sorted(own.value) !== sorted(other.value))
                    readOtherwise.push([text, own.value, other.value]);
            }
        }
        console.log(
            `${texts.length} texts: taken by both ${counts.taken}, refused by both ${counts.refused}, ` +
                `by us alone ${counts.refusedByUsAlone}, taken by us alone ${takenByUsAlone.length}`,
        );
        expect(takenByUsAlone).toEqual([]);
        expect(readOtherwise).toEqual([]);
        expect(counts.taken).toBeGreaterThan(400);
        expect(counts.refused).toBeGreaterThan(1500);
    });
});
