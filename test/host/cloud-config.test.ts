import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { ensureBaseImage } from "../../sandbox/droplets/base-image.ts";
import { defaultImage, releaseOf } from "../../sandbox/releases.ts";
import { checkCloudConfig } from "../../userdata/cloud-config";
import { joinUserData } from "../../userdata/multipart";
import { readUserData } from "../../userdata/files";

/** Run in the image that boots: for each text of stdin's list what cloud-init's own schema refuses, and all its keys. */
const validator = `
import json, sys, yaml
from cloudinit.config import schema as s
schema = s.get_schema()
def errors(text):
    try:
        s.validate_cloudconfig_schema(yaml.safe_load(text) or {}, schema=schema, strict=True)
    except s.SchemaValidationError as error:
        return [str(problem) for problem in error.schema_errors or []]
    return []
tops = [ref["$ref"].split("/")[-1] for ref in schema["allOf"]]
keys = sorted({key for top in tops for key in schema["$defs"][top].get("properties", {})})
print(json.dumps({"errors": [errors(text) for text in json.load(sys.stdin)], "keys": keys}))
`;

/** Run there, too: what cloud-init makes of user data as it is sent, its parts by their types. */
const splitter = `
import json, sys
from cloudinit import helpers, user_data, util
def parts(sent):
    message = user_data.UserDataProcessor(helpers.Paths({})).process(sent.encode())
    return [[part.get_content_type(), util.fully_decoded_payload(part)] for part in message.walk() if not part.is_multipart()]
print(json.dumps([parts(sent) for sent in json.load(sys.stdin)]))
`;

let root: string;
/** What it says of each of `refused`, and the keys that it knows. */
let answers: string[][];
let keys: string[];

/** What one of these programs says of the texts. */
function inTheImage(program: string, texts: string[]): unknown {
    const options = { input: JSON.stringify(texts), encoding: "utf8", maxBuffer: 1 << 28 } as const;
    const { status, stdout, stderr } = spawnSync("chroot", [root, "python3", "-c", program], options);
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
}

/** What the image's cloud-init refuses of each text, and the keys that it knows. */
const realSchema = (texts: string[]) =>
    inTheImage(validator, texts) as { errors: string[][]; keys: string[] };

const document = (content: unknown) => `#cloud-config\n${JSON.stringify(content)}\n`;

/** What people get wrong. */
const refused = [
    { packages: "nginx" },
    { packages: [["nginx", 1.2]] },
    { runcmd: [["sh", 1]] },
    { runcmd: [{ echo: "hi" }] },
    { runcmd: "id" },
    { bootcmd: [null] },
    { write_files: [{ content: "a" }] },
    { write_files: [{ path: "/a", permissions: 420 }] },
    { write_files: [{ path: "/a", encoding: "rot13" }] },
    { write_files: [{ path: "/a", permisions: "0644" }] },
    { ssh_authorized_keys: "key" },
    { write_files: [{ path: "/a", content: 7 }] },
];

describe("our table and the schema of the image's cloud-init", () => {
    beforeAll(async () => {
        root = (await ensureBaseImage(releaseOf(defaultImage), { log: console.error })).lowerdir;
        ({ errors: answers, keys } = realSchema(refused.map(document)));
    });

    test("know the same keys", () => {
        const unknown = keys.filter((key) => {
            const { problems, warnings } = checkCloudConfig(document({ [key]: null }));
            return [...problems, ...warnings].some((line) => line.includes("is no key"));
        });
        expect(unknown).toEqual([]);
    });

    test.each(refused.map((content) => [content]))("both refuse %j", (content) => {
        expect(answers[refused.indexOf(content)]).not.toEqual([]);
        expect(checkCloudConfig(document(content)).problems).not.toEqual([]);
    });

    test("agree on whatever is made up: what ours refuses, the real one refuses", () => {
        const leaf = fc.constantFrom<unknown>("a", "yes", 1, 1.5, true, false, null);
        const inner = [
            "path",
            "content",
            "name",
            "groups",
            "sudo",
            "append",
            "mode",
            "size",
            "sources",
            "source",
        ];
        const value = fc.letrec<{ any: unknown }>((tie) => ({
            any: fc.oneof(
                { depthSize: "small", withCrossShrink: true },
                leaf,
                fc.array(tie("any"), { maxLength: 3 }),
                fc.dictionary(fc.constantFrom(...inner), tie("any"), { maxKeys: 3 }),
            ),
        })).any;
        const ofSetUp = ["packages", "runcmd", "bootcmd", "write_files", "ssh_authorized_keys"];
        const key = fc.oneof(fc.constantFrom(...keys), fc.constantFrom(...ofSetUp));
        const made = fc.sample(fc.dictionary(key, value, { minKeys: 1, maxKeys: 2 }), {
            numRuns: 1500,
            seed: 12,
        });
        // As PyYAML and we read what people write.
        const written = [
            "ssh_pwauth: no",
            "packages: [y, n, 12e5, 0x1f]",
            "timezone: 2001-01-01",
            "hostname: 1:30",
        ];
        const texts = [...made.map(document), ...written.map((text) => `#cloud-config\n${text}\n`)];
        const { errors } = realSchema(texts);
        const disagreed = texts.filter(
            (text, i) => checkCloudConfig(text).problems.length > 0 && errors[i]?.length === 0,
        );
        expect(disagreed).toEqual([]);
        expect(texts.filter((text) => checkCloudConfig(text).problems.length > 0).length).toBeGreaterThan(
            300,
        );
    });
});

describe("user data as it is sent", () => {
    beforeAll(async () => {
        root = (await ensureBaseImage(releaseOf(defaultImage), { log: console.error })).lowerdir;
    });

    test("comes to the image's cloud-init as it was written, whatever it is written in", () => {
        const piece = fc.oneof(
            fc.string({ unit: "binary" }),
            fc.constantFrom(
                "Grüße → 日本 😀",
                "=3D",
                "=\n",
                " \n",
                "\t\n",
                "\r\n",
                "\n\n",
                "\\u00e9",
                "\u0085",
                "\u2028",
            ),
            fc.constantFrom(
                "--=dropscale=--\n",
                "\nMIME-Version: 1.0\n",
                "Content-Type: text/plain\n\n",
                "From me\n",
            ),
        );
        const text = fc
            .tuple(fc.constantFrom("#!/bin/sh\n", "#cloud-config\n"), fc.array(piece))
            .map(([first, pieces]) => Buffer.from(first + pieces.join("")).toString());
        const texts = ["nginx", "haproxy"]
            .map((name) => readUserData(name))
            .concat(fc.sample(text, { numRuns: 300, seed: 11 }));
        const sent = texts.map((own, i) =>
            joinUserData({ text: own, generation: i % 2 === 0 ? "" : "2026-11" }, "ssh-ed25519 AAAA"),
        );
        const parts = inTheImage(splitter, sent) as [string, string][][];
        expect(parts.map((found) => found.slice(1))).toEqual(
            texts.map((own) => [[own.startsWith("#!") ? "text/x-shellscript" : "text/cloud-config", own]]),
        );
        for (const [ours] of parts) expect(ours).toEqual(["text/cloud-boothook", parts[0]?.[0]?.[1]]);
    });
});
