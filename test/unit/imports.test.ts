import { describe, expect, it } from "vitest";
import { circles, mayImport, namesakes, picture, readImports, roomOf, wrongImports } from "../imports.mts";

const imports = readImports();

describe("imports", () => {
    it("go one way: from a room to those below it", () => {
        expect(wrongImports(imports)).toEqual([]);
    });

    it("make no circle", () => {
        expect(circles(imports)).toEqual([]);
    });

    it("never mean two things by one name", () => {
        expect(namesakes()).toEqual([]);
    });

    it("are those of every room, and each room's place is known", () => {
        expect(new Set([...imports.keys()].map(roomOf))).toEqual(new Set(Object.keys(mayImport)));
        expect(imports.get("index.ts")).toContain("config/read.ts");
        // A command is loaded when it runs, by import().
        expect(imports.get("tools/main.ts")).toContain("tools/plan/plan.ts");
        expect(picture(imports)).toMatch(/^index\.ts +config 1, account \d/);
    });

    it.each([
        ["lib/slots.ts", "components/network.ts"],
        ["components/network.ts", "account/lookup.ts"],
        ["account/lookup.ts", "config/read.ts"],
        ["config/read.ts", "index.ts"],
        ["index.ts", "tools/cli/mask.ts"],
        ["components/network.ts", "policy/rules.ts"],
        ["policy/rules.ts", "tools/cli/words.ts"],
        ["tools/status/status.ts", "config/settings.ts"],
        ["tools/pulumi/run.ts", "tools/live/api.ts"],
        ["tools/plan/plan.ts", "tools/main.ts"],
        ["tools/cli/words.ts", "tools/plan/plan.ts"],
        ["tools/live/api.ts", "sandbox/cli.ts"],
        ["sandbox/cli.ts", "lib/slots.ts"],
    ])("may not go from %s to %s", (file, target) => {
        expect(wrongImports(new Map([[file, [target]]]))).toEqual([`${file} imports ${target}`]);
    });

    it("show a circle, and each once", () => {
        const graph = new Map([
            ["a", ["b", "d"]],
            ["b", ["c"]],
            ["c", ["b"]],
            ["d", ["b"]],
        ]);
        expect(circles(graph)).toEqual(["b -> c -> b"]);
    });
});
