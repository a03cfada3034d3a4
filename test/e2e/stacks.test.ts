import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { readState } from "../kills.mts";
import { type Host, inside, scan } from "../scan.mts";
import { makeWorld, type Stack, upEndsWell, type World } from "../world.mts";
import { get, Visitors } from "./client";
import { serveSlowly } from "./site";

interface Droplet {
    id: number;
    tags: string[];
    vpc_uuid: string;
    networks: { v4: { type: string; ip_address: string }[] };
}

interface Firewall {
    name: string;
    tags: string[];
    inbound_rules: { sources?: { tags?: string[] } }[];
}

interface Named {
    name: string;
}

/** Two stacks of one program in one account; the name of the second begins with the first one's. */
describe("stacks of one account", () => {
    let world: World;
    let made: World | undefined;
    /** The first one of the region: its VPC becomes the region's default. */
    let first: Stack;
    let second: Stack;

    beforeAll(async () => {
        first = world = made = await makeWorld("nspawn", { replicas: 1 });
        serveSlowly(world.folder);
        // Nor is it to be taken for a role of the first one.
        second = await world.addStack("test-backend", { replicas: 1 });
    });
    afterAll(async () => {
        await made?.close();
    });

    const list = async <T>(kind: string, key = kind) => (await world.api(`${kind}?per_page=200`))[key] as T[];
    const account = async () => ({
        droplets: await list<Droplet>("droplets"),
        firewalls: await list<Firewall>("firewalls"),
        tags: await list<Named>("tags"),
        keys: await list<Named>("account/keys", "ssh_keys"),
        vpcs: await list<Named & { default: boolean }>("vpcs"),
        reservedIps: await list("reserved_ips"),
    });

    /** The account has this of these stacks of one server each, and nothing else, VPCs apart. */
    async function expectAccountOf(...stacks: string[]) {
        const found = await account();
        const prefixes = stacks.map((stack) => `dropscale-${stack}`);
        const roles = prefixes.flatMap((prefix) => [`${prefix}-backend`, `${prefix}-load-balancer`]).sort();
        expect(found.droplets.flatMap(({ tags }) => tags).sort()).toEqual(roles);
        expect(found.firewalls.map(({ name }) => name).sort()).toEqual(roles);
        expect(found.tags.map(({ name }) => name).sort()).toEqual(roles);
        expect(found.keys.map(({ name }) => name).sort()).toEqual(prefixes.sort());
        expect(found.reservedIps).toHaveLength(stacks.length);
        return found;
    }

    it("come up side by side, each with a page, names, a VPC and an address of its own", async () => {
        const firstUp = upEndsWell(first);
        await vi.waitFor(
            async () => {
                expect(await list("vpcs")).toMatchObject([{ name: "dropscale-test", default: true }]);
            },
            { timeout: 60_000, interval: 500 },
        );
        await Promise.all([firstUp, upEndsWell(second)]);
        const found = await expectAccountOf("test", "test-backend");
        for (const { name, tags, inbound_rules } of found.firewalls) {
            const named = [...tags, ...inbound_rules.flatMap(({ sources }) => sources?.tags ?? [])];
            const ofStack = name.replace(/-(load-balancer|backend)$/, "");
            const allowed = [`${ofStack}-backend`, `${ofStack}-load-balancer`];
            expect(allowed, `${name}: ${named.join()}`).toEqual(expect.arrayContaining(named));
        }
        expect(new Set(found.droplets.map((droplet) => droplet.vpc_uuid)).size).toBe(2);
        const ids = (await Promise.all([first, second].map(readState))).flatMap(({ resources }) =>
            resources
                .filter(({ type }) => type.startsWith("digitalocean:"))
                .map(({ type, id }) => `${type} ${id ?? ""}`),
        );
        expect(ids).toHaveLength(20);
        expect(ids.sort(), "no resource is in two states").toEqual([...new Set(ids)].sort());
        for (const stack of [first, second])
            expect((await get((await stack.outputs()).url)).status).toBe(200);
    });

    it("do not reach each other's servers, and of each other's load balancers what everybody does", async () => {
        const { droplets } = await account();
        const hostOf = (tag: string): Host => {
            const droplet = droplets.find(({ tags }) => tags.includes(tag));
            const address = (wanted: string) =>
                droplet?.networks.v4.find(({ type }) => type === wanted)?.ip_address ?? "";
            return { id: droplet?.id ?? 0, publicIp: address("public"), privateIp: address("private") };
        };
        const theirs = {
            backend: hostOf("dropscale-test-backend-backend"),
            balancer: hostOf("dropscale-test-backend-load-balancer"),
        };
        const backend = { [theirs.backend.publicIp]: [], [theirs.backend.privateIp]: [] };
        const balancer = {
            [theirs.balancer.privateIp]: [],
            [theirs.balancer.publicIp]: [80],
            [(await second.outputs()).loadBalancerIp]: [80],
        };
        for (const [role, expected] of [
            ["backend", { ...backend, ...balancer }],
            ["load-balancer", backend],
        ] as const) {
            const from = inside(world, `the first stack's ${role}`, hostOf(`dropscale-test-${role}`));
            const found = await scan(from, Object.keys(expected), "tcp");
            console.log(`${from.name} → the second, all TCP ports: ${JSON.stringify(found)}`);
            expect(found, from.name).toEqual(expected);
        }
    });

    it("are destroyed without the other's notice, but for the region's default VPC, which nobody can delete", async () => {
        const visitors = new Visitors((await second.outputs()).url);
        await destroy(first);
        await visitors.stop();
        console.log(
            `${visitors.requests} requests to the stack that stays, ${visitors.failures.length} failed`,
        );
        expect(visitors.requests).toBeGreaterThan(50);
        expect(visitors.failures).toEqual([]);
        const { vpcs } = await expectAccountOf("test-backend");
        expect(vpcs).toMatchObject([
            { name: "dropscale-test", default: true },
            { name: "dropscale-test-backend", default: false },
        ]);
        const { code, text } = await second.pulumi(["preview", "--refresh", "--expect-no-changes"]);
        expect(code, text).toBe(0);
    });

    it("are destroyed without a trace where the VPC is no default", async () => {
        await destroy(second);
        const { vpcs } = await expectAccountOf();
        expect(vpcs).toMatchObject([{ name: "dropscale-test", default: true }]);
    });

    async function destroy(stack: Stack): Promise<void> {
        const { code, text } = await stack.pulumi(["destroy", "--yes", "--skip-preview", "--refresh"]);
        expect(code, text).toBe(0);
        expect((await readState(stack)).resources).toEqual([]);
    }
});
