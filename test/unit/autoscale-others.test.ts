import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isComponent, isLoadBalancer, names, parseUrn, types } from "../../lib/identity";
import type { ConfigChange } from "../../tools/autoscale/model";
import { otherChanges } from "../../tools/autoscale/other-changes";
import { buildPlan } from "../../tools/plan/build";
import type { PreviewStep } from "../../tools/pulumi/preview";
import type { StateResource } from "../../tools/pulumi/state";
import { type Registration, runProgram } from "../mocks";
import { deployed, sources, step } from "../plan-fixtures";
import { stackConfig } from "../stack-config";

/** Everything that a stack can have. */
const everything = {
    ...{ domains: ["www.example.com"], acmeEmail: "ops@example.com", dnsZone: "example.com" },
    ...{
        adminHost: true,
        alerts: { email: "ops@example.com" },
        backendSources: [{ from: "jobs", ports: "9100" }],
    },
    ...{ metricsSources: ["jobs"], replicas: 3, namePrefix: "dropscale" },
};

/** What the program registers, as a state has it. */
async function resourcesOf(config: Record<string, unknown>): Promise<StateResource[]> {
    const { registrations } = await runProgram({
        config,
        stack: "prod",
        tags: ["jobs"],
        zones: { "example.com": [] },
    });
    return registrations.map(resourceOf);
}

function resourceOf({ type, name, parent, inputs }: Registration): StateResource {
    // Unlike the mocks, an engine leaves out the stack, whose children all are.
    const [, ...chain] = `${parseUrn(parent).chain}$`.split(`${types.stack}$`);
    const parents = chain.join("");
    const urn = `urn:pulumi:prod::dropscale::${parents}${type}::${name}`;
    return { urn, type, name, id: `${name}-id`, custom: !isComponent(type), inputs, outputs: inputs };
}

/** What an engine would do, by the inputs alone. */
function stepsBetween(before: StateResource[], after: StateResource[]): PreviewStep[] {
    const next = after.flatMap((is) => {
        const was = before.find(({ urn }) => urn === is.urn);
        if (!was) return step("create", is);
        const keys = Object.keys({ ...was.inputs, ...is.inputs });
        const differs = keys.filter(
            (key) => JSON.stringify(was.inputs?.[key]) !== JSON.stringify(is.inputs?.[key]),
        );
        return differs.length > 0 ? step("update", is, was, differs) : [];
    });
    const gone = before.filter(({ urn }) => !after.some((is) => is.urn === urn));
    return [...next, ...gone.map((was) => step("delete", was))];
}

describe("what a plan does beside the autoscaler's own change", () => {
    let content: string;
    let before: StateResource[];
    beforeAll(async () => {
        content = mkdtempSync(path.join(tmpdir(), "dropscale-others-"));
        writeFileSync(path.join(content, "index.html"), "hello");
        before = await resourcesOf({ ...everything, content });
    });
    afterAll(() => {
        rmSync(content, { recursive: true });
    });

    const othersIn = (steps: PreviewStep[], config: object, change: ConfigChange, state = before) => {
        const raw = stackConfig({ ...everything, content, ...config });
        const plan = buildPlan({ ...sources(steps, raw), state: { ...deployed, resources: state } });
        return otherChanges(plan, change);
    };
    const planned = async (config: Record<string, unknown>, change: ConfigChange) => {
        const after = await resourcesOf({ ...everything, content, ...config });
        return othersIn(stepsBetween(before, after), config, change);
    };

    it.each([
        ["more servers", { replicas: 5 }],
        ["fewer servers", { replicas: 2 }],
        ["another server for a sick one", { retired: [1] }],
    ])("is nothing with %s, whatever else the stack has", async (_what, change) => {
        expect(await planned(change, change)).toEqual([]);
    });

    /** All that runs on it runs again, and the address moves. */
    const rebuilt = (op: string) =>
        before.flatMap((is) => {
            if (isLoadBalancer(is)) return step(op, is, is, op === "replace" ? ["userData"] : []);
            if (is.type === types.remoteCommand) return step("update", is, is, ["connection"]);
            return is.type === types.reservedIpAssignment ? step("replace", is, is, ["dropletId"]) : [];
        });
    const healed = { loadBalancerGeneration: "heal-1" };

    it.each(["replace", "create"])("is nothing where a dead load balancer is made again by %s", (op) => {
        const state = op === "create" ? before.filter((is) => !isLoadBalancer(is)) : before;
        expect(othersIn(rebuilt(op), healed, healed, state)).toEqual([]);
        expect(othersIn(rebuilt(op), {}, { replicas: 3 }, state)).toContain(`${op} load-balancer`);
    });

    it("is everything where the stack has been destroyed: it is not built again", async () => {
        const after = await resourcesOf({ ...everything, content, ...healed });
        const others = othersIn(stepsBetween([], after), healed, healed, []);
        expect(others).toContain("create reserved IP address");
        expect(others).toContain("create command on the load balancer haproxy");
    });

    it("is everything where a destroy came as far as the load balancer, and left the rest", () => {
        const isGone = ({ type, name }: StateResource) =>
            [types.remoteCommand, types.reservedIpAssignment].some((gone) => gone === type) ||
            isLoadBalancer({ type, name });
        const steps = before.filter(isGone).map((is) => step("create", is));
        const state = before.filter((is) => !isGone(is));
        expect(othersIn(steps, healed, healed, state)).toContain(
            "create command on the load balancer haproxy-staged",
        );
    });

    it("names others' content", async () => {
        writeFileSync(path.join(content, "index.html"), "hello, everybody");
        const others = await planned({ replicas: 5 }, { replicas: 5 });
        writeFileSync(path.join(content, "index.html"), "hello");
        expect(others).toEqual([
            expect.stringMatching(/^update content .* \(release \w+ → \w+: ~index\.html\)$/),
        ]);
    });

    it.each<[string, object, RegExp]>([
        [
            "names in DNS",
            { domains: ["www.example.com", "example.com"] },
            /^create DNS record dns-example\.com$/,
        ],
        [
            "firewall rules",
            { adminCidrs: ["198.51.100.7/32"] },
            /^update firewall network-admin-host \(port 22 /,
        ],
        ["alerts", { alerts: { email: "a@example.com" } }, /^update alert alerts-cpu/],
        ["admin host", { adminHost: false, metricsSources: [] }, /^delete admin host admin-host$/],
    ])("names others' %s", async (_what, config, words) => {
        const others = await planned({ replicas: 5, ...config }, { replicas: 5 });
        expect(others).toContainEqual(expect.stringMatching(words));
    });

    it("names others' edits of the program itself", async () => {
        const script = before.find(({ name }) => name === `${names.haproxy}-script`);
        if (!script) throw new Error("no script");
        const old = { ...script, inputs: { ...script.inputs, stdin: "old" } };
        const after = await resourcesOf({ ...everything, content, replicas: 5 });
        const steps = [...stepsBetween(before, after), step("update", script, old, ["stdin"])];
        expect(othersIn(steps, { replicas: 5 }, { replicas: 5 })).toEqual([
            "update command on the load balancer haproxy-script (stdin)",
        ]);
    });
});
