import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { contentCommandNames, names, types } from "../../lib/identity";
import { buildPlan } from "../../tools/plan/build";
import { planAsText } from "../../tools/plan/text";
import { deployed, resource, sources, step } from "../plan-fixtures";

const release = (name: string, parts: Record<string, string>) =>
    resource(types.content, names.content, { content: "dist", release: name, files: 2, bytes: 9, parts });
const before = release("aaaaaaaaaaaaaaaa", { "index.html": "1", "old.js": "2" });
const after = release("bbbbbbbbbbbbbbbb", { "index.html": "3", "new.js": "4" });
const commands = Object.values(contentCommandNames()).map((name) => {
    const type = name === contentCommandNames().sent ? types.localCommand : types.remoteCommand;
    return { ...resource(type, name), urn: `urn:pulumi:prod::dropscale::${types.content}$${type}::${name}` };
});
const withContent = { ...deployed, resources: [before, ...commands, ...deployed.resources] };
const planOf = (op: string) => {
    const is = op === "delete" ? before : after;
    const steps = [step(op, is, before), ...commands.map((command) => step(op, command))];
    return buildPlan({ ...sources(steps), state: op === "create" ? deployed : withContent });
};
const text = (op: string) => planAsText(planOf(op), pc.createColors(false));

describe("the plan of content", () => {
    it("names the releases and what differs, in one line, and costs no request", () => {
        expect(text("update")).toContain(
            "  ~ dist                     content, changed: release aaaaaaaaaaaaaaaa → bbbbbbbbbbbbbbbb: ~index.html +new.js -old.js\n",
        );
        expect(planOf("update")).toMatchObject({
            applicable: true,
            lostRequests: { which: "none" },
            refusals: [],
        });
    });

    it("says that it comes, and that taking it out of the config is no stranger's work", () => {
        expect(text("create")).toContain("content, new: release none → bbbbbbbbbbbbbbbb");
        expect(planOf("delete")).toMatchObject({
            applicable: true,
            lostRequests: { which: "none" },
            refusals: [],
        });
    });
});
