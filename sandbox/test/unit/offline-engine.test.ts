import pb from "@pulumi/pulumi/proto/language_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { describe, expect, it } from "vitest";
import { newEnough } from "../../offline-engine/official.ts";
import { programConfig, tsconfigOf } from "../../offline-engine/program.ts";

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

describe("tsconfigOf", () => {
    const tsconfig = (raw: Parameters<typeof struct.Struct.fromJavaScript>[0]) =>
        tsconfigOf(new pb.ProgramInfo().setOptions(struct.Struct.fromJavaScript(raw)));

    it("reads what Pulumi.yaml says", () => {
        expect(tsconfig({})).toBeUndefined();
        expect(tsconfigOf(undefined)).toBeUndefined();
        expect(tsconfig({ tsconfig: "tsconfig.run.json" })).toBe("tsconfig.run.json");
    });

    it.each([
        [{ tsconfig: 5 }, "runtime.options.tsconfig in Pulumi.yaml should be a string, got 5"],
        [{ nodeargs: "-r x" }, "runtime.options.nodeargs in Pulumi.yaml is not known to the offline engine"],
    ])("refuses %j", (raw, message) => {
        expect(() => tsconfig(raw)).toThrow(message);
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
