import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import pb from "@pulumi/pulumi/proto/language_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newEnough } from "../../offline-engine/official.ts";
import { requiredPlugins } from "../../offline-engine/packages.ts";
import { programConfig } from "../../offline-engine/program.ts";
import { runtimeOptions, splitWords } from "../../offline-engine/runtime-options.ts";

describe("newEnough", () => {
    it.each([
        ["v3.248.0", true],
        ["3.248.1", true],
        ["v3.1000.0", true],
        ["v3.253.0-dev.0", true],
        ["v3.247.9", false],
        ["v3.99.0", false],
        ["v3.248.0-alpha.1", false],
        ["v4.0.0", false],
        ["v2.999.0", false],
    ])("a CLI %s for the SDK 3.248.0: %s", (cli, expected) => {
        expect(newEnough(cli, "3.248.0")).toBe(expected);
    });
});

describe("runtimeOptions", () => {
    const options = (raw: Parameters<typeof struct.Struct.fromJavaScript>[0]) =>
        runtimeOptions(new pb.ProgramInfo().setOptions(struct.Struct.fromJavaScript(raw)));

    it("has the SDK's defaults", () => {
        const defaults = { typescript: true, tsconfig: undefined, nodeargs: [], production: false };
        expect(options({})).toEqual(defaults);
        expect(runtimeOptions(undefined)).toEqual(defaults);
    });

    it("reads what Pulumi.yaml says", () => {
        expect(
            options({
                typescript: false,
                tsconfig: "tsconfig.run.json",
                nodeargs: "--no-warnings -r './a b.js'",
            }),
        ).toMatchObject({
            typescript: false,
            tsconfig: "tsconfig.run.json",
            nodeargs: ["--no-warnings", "-r", "./a b.js"],
        });
    });

    it.each([
        [{ tsconfig: 5 }, "runtime.options.tsconfig in Pulumi.yaml should be a string, got 5"],
        [{ typescript: "yes" }, 'runtime.options.typescript in Pulumi.yaml should be a boolean, got "yes"'],
        [{ nodeargs: ["-r"] }, 'runtime.options.nodeargs in Pulumi.yaml should be a string, got ["-r"]'],
        [
            { packagemanager: "bun" },
            "runtime.options.packagemanager in Pulumi.yaml should be npm with the offline engine",
        ],
    ])("refuses %j", (raw, message) => {
        expect(() => options(raw)).toThrow(message);
    });
});

describe("splitWords", () => {
    it.each([
        ["", []],
        ["  --a   -b ", ["--a", "-b"]],
        [`--title="two words" 'it is' x"y"z`, ["--title=two words", "it is", "xyz"]],
    ])("%j", (text, words) => {
        expect(splitWords(text)).toEqual(words);
    });
});

describe("programConfig", () => {
    it("turns keys into the form that the SDK reads, once", () => {
        expect(
            programConfig([
                ["tiny:replicas", "3"],
                ["tiny:config:region", "fra1"],
                ["pulumi:tags", '{"a:b":"c"}'],
            ]),
        ).toEqual({
            "tiny:config:replicas": "3",
            "tiny:config:region": "fra1",
            "pulumi:config:tags": '{"a:b":"c"}',
        });
    });
});

describe("requiredPlugins", () => {
    let root: string;
    beforeEach(() => {
        root = fs.mkdtempSync(path.join(os.tmpdir(), "packages-"));
    });
    afterEach(() => {
        fs.rmSync(root, { recursive: true });
    });
    const install = (folder: string, packageJson: unknown) => {
        fs.mkdirSync(path.join(root, folder), { recursive: true });
        fs.writeFileSync(path.join(root, folder, "package.json"), JSON.stringify(packageJson));
    };

    it("finds the packages with a plugin, scoped or not, here and in the folders above", () => {
        install("node_modules/@pulumi/random", {
            name: "@pulumi/random",
            version: "4.1.0",
            pulumi: { resource: true },
        });
        install("node_modules/@pulumi/pulumi", { name: "@pulumi/pulumi", version: "3.248.0" });
        install("app/node_modules/acme", {
            name: "acme",
            version: "0.0.0",
            pulumi: { resource: true, name: "acme-cloud", version: "v7.0.1" },
        });
        install("app/node_modules/yaml", { name: "yaml", version: "2.0.0", keywords: ["pulumi"] });
        fs.writeFileSync(path.join(root, "node_modules/.package-lock.json"), "{}");
        expect(requiredPlugins(path.join(root, "app"))).toEqual([
            { name: "acme-cloud", version: "v7.0.1" },
            { name: "random", version: "v4.1.0" },
        ]);
    });

    it("names the file of a package that has a plugin without a name", () => {
        install("node_modules/acme", { name: "acme", version: "1.0.0", pulumi: { resource: true } });
        expect(() => requiredPlugins(root)).toThrow(path.join(root, "node_modules/acme/package.json"));
    });
});
