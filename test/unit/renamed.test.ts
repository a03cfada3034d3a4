import { readFileSync } from "node:fs";
import * as path from "node:path";
import pc from "picocolors";
import { describe, expect, it, vi } from "vitest";
import type * as Identity from "../../lib/identity";
import { poolChanges } from "../../tools/rollout/batches";
import { offDrift } from "../../tools/drift/differences";
import { pair } from "../../tools/live/pool";
import { doubtDroplet } from "../../tools/live/ownership";
import { buildPlan } from "../../tools/plan/build";
import { planAsText } from "../../tools/plan/text";
import { deployed, haproxy, haproxyRuns, pool, scaleOut, server, sources, step } from "../plan-fixtures";

// What the program's things are called is said in one place: renamed there, the tools know them by the new names.
vi.mock("../../lib/identity", async (importOriginal) => {
    const identity = await importOriginal<typeof Identity>();
    Object.assign(identity.names, { pool: "app", loadBalancer: "load_balancer", haproxy: "proxies" });
    Object.assign(identity.types, { pool: "dropscale:index:Apps", remoteCommand: "command:remote:Other" });
    return identity;
});

const planned = (name: string) => readFileSync(path.join(__dirname, `plan/${name}.txt`), "utf8");
const renamed = (text: string) =>
    text.replaceAll("web-", "app-").replaceAll("load-balancer", "load_balancer");

describe("with other names in lib/identity.ts", () => {
    it("the plan is the same, by these names", () => {
        const plan = buildPlan(scaleOut);
        const [text = ""] = planAsText(plan, pc.createColors(false)).split("  haproxy.cfg\n");
        expect(text).toContain("+ app-3 app-4");
        expect(renamed(planned("scale-out")).split("  haproxy.cfg\n")[0]).toBe(text);
        expect(plan.haproxyDiff).toContain("\n+    server app-3 <address of app-3>:80 ");
    });

    it("a roll-out finds the servers, and whether they serve", () => {
        const steps = [
            step("update", pool([0, 1, 2]), pool([0, 1, 2])),
            step("replace", server(0), server(0, {}, "10.0.0.10"), ["size"]),
            step("replace", server(1), server(1, {}, "10.0.0.99"), ["size"]),
            ...haproxyRuns(haproxy("unknown")),
        ];
        expect(poolChanges(sources(steps).document)).toMatchObject({ replaced: [0, 1], notServing: [1] });
    });

    it("droplets are told apart, and so is whose they are", () => {
        const droplets = pair(deployed, undefined, new Set()).map((droplet) => ({
            ...droplet,
            status: "off",
        }));
        expect(droplets.map(({ name }) => name)).toEqual(["app-0", "app-1", "app-2", "load_balancer"]);
        expect(droplets.map(({ isLoadBalancer }) => isLoadBalancer)).toEqual([false, false, false, true]);
        expect(offDrift(droplets, "prod").map(({ fix }) => fix.includes("`retired`"))).toEqual([
            true,
            true,
            true,
            false,
        ]);
        const tags = ["dropscale-prod-backend"];
        expect(doubtDroplet("dropscale-prod", { name: "app-1-0123abc", tags })).toBeUndefined();
        expect(doubtDroplet("dropscale-prod", { name: "web-1-0123abc", tags })).toContain("its name is none");
    });
});
