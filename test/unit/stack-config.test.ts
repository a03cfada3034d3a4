import { readFileSync } from "node:fs";
import * as path from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { configIn, StackConfig } from "../../tools/pulumi/stack-config";

const config = new StackConfig("dev");
const readHold = (text: string) =>
    config.readSlots("hold", { hold: configIn(text, config.file)["dropscale:hold"] });
const withHold = (text: string, hold: readonly number[]) => config.textWith(text, { hold });

const text = `# The shop's stack.

config:
  dropscale:region: fra1
  # Three are enough since May.
  dropscale:replicas: 3
  dropscale:adminCidrs:
    - 198.51.100.7/32 # the office
    - 203.0.113.0/24
  dropscale:size: "s-1vcpu-2gb"

encryptionsalt: v1:EK1Hub5uARU=:v1:41tC8YKTng4ZYrgR:TsNF8B0EjNeOWRJeWVs5DlyH98sJtQ==
`;
const line = "  dropscale:hold: [1, 2]\n";
const held = text.replace("\n\nencryptionsalt", `\n${line}\nencryptionsalt`);

describe("hold in a stack's config", () => {
    it("is one line, and nothing else changes: no comment, no quote, no order", () => {
        const changed = withHold(text, [1, 2]);
        expect(changed.split("\n").filter((l) => l !== "  dropscale:hold: [1, 2]")).toEqual(text.split("\n"));
        expect(readHold(changed)).toEqual([1, 2]);
    });

    it("stays where it is while it gets shorter, its comment too, and goes when it is empty", () => {
        const commented = held.replace("[1, 2]", "[1, 2] # a canary");
        expect(withHold(commented, [2])).toBe(commented.replace("[1, 2]", "[2]"));
        expect(withHold(held, [])).not.toContain("hold");
        expect(withHold(text, [])).toBe(text);
    });

    it("leaves the committed dev stack as it is but for that line", () => {
        const dev = readFileSync(path.join(__dirname, "../../Pulumi.dev.yaml"), "utf8");
        const changed = withHold(dev, [0]);
        expect(changed.split("\n").filter((l) => l !== "  dropscale:hold: [0]")).toEqual(dev.split("\n"));
        expect(withHold(changed, [])).toBe(dev);
    });

    it("stands beside other values, whose comments stay", () => {
        const commented = text.replace("replicas: 3", "replicas: 3 # enough");
        const changed = config.textWith(commented, { replicas: 5, retired: [1] });
        expect(changed).toBe(
            commented
                .replace("replicas: 3 #", "replicas: 5 #")
                .replace("\n\nencryptionsalt", "\n  dropscale:retired: [1]\n\nencryptionsalt"),
        );
    });

    it("comes back as it was written", () => {
        fc.assert(
            fc.property(fc.uniqueArray(fc.nat(9999)), (hold) => {
                expect(readHold(withHold(text, hold))).toEqual(hold);
            }),
        );
    });

    it.each([
        ["a list over several lines", "\n    - 1\n    - 2"],
        ["the text that `pulumi config set` makes", " '[1,2]'"],
    ])("may be %s", (_what, value) => {
        const other = held.replace(" [1, 2]", value);
        expect(readHold(other)).toEqual([1, 2]);
        expect(readHold(withHold(other, [2]))).toEqual([2]);
    });

    it.each(["3", "web-1", "[web-1]", "[-1]", "[1.5]", '"[1"'])("is refused as %s", (value) => {
        expect(() => readHold(held.replace("[1, 2]", value))).toThrow(
            "'hold' should be a list of slot numbers such as [1], got ",
        );
    });

    it("says where the file is no YAML", () => {
        expect(() => readHold("config: [")).toThrow(/should be YAML: .*line 1/s);
    });
});
