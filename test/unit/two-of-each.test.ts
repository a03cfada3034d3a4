import { describe, expect, it } from "vitest";
import { BackendPool } from "../../components/backend-pool";
import { DeployKey } from "../../components/deploy-key";
import { HaproxyConfig } from "../../components/haproxy/haproxy-config";
import { LoadBalancer } from "../../components/load-balancer";
import { Network } from "../../components/network";
import { PublicAddress } from "../../components/public-address";
import { listenersFor } from "../../lib/listeners";
import { types } from "../../lib/identity";
import { haproxySettings } from "../haproxy-settings";
import { type Registration, runProgram } from "../mocks";

const region = "fra1";
const droplet = { image: "debian-12-x64", size: "s-1vcpu-1gb", userData: "#cloud-config\n" };

/** One site: a pool, a load balancer of its own in front of it, and its address. */
function site(pool: string, suffix: string, network: Network, keys: DeployKey): string[] {
    const servers = new BackendPool(pool, {
        scale: { replicas: 2, retired: [], hold: [] },
        droplet: { ...droplet, generation: "" },
        ...{ region, network, keys },
    });
    const loadBalancer = new LoadBalancer(`load-balancer${suffix}`, {
        droplet: { ...droplet, generation: "" },
        ...{ region, network, keys },
        checkAccess: (address) => Promise.resolve(address),
    });
    const haproxy = new HaproxyConfig(`haproxy${suffix}`, {
        ...{ loadBalancer, pool: servers, traffic: haproxySettings, readySeconds: 300 },
    });
    new PublicAddress(`address${suffix}`, {
        ...{ region, dropletId: loadBalancer.dropletId, serving: () => haproxy.applied },
    });
    return servers.servers.map(({ name }) => name);
}

const newNetwork = (name: string, prefix: string) =>
    new Network(name, {
        ...{ prefix, region, ownVpc: { isRegionDefault: false }, listeners: listenersFor(false) },
        access: {
            adminCidrs: ["203.0.113.7/32"],
            sshFromAnywhere: false,
            backendSources: [],
            metricsSources: [],
            adminHost: false,
        },
    });

describe.each([
    ["up", false],
    ["preview", true],
])("two of each component in one stack, in %s", (_mode, preview) => {
    const run = (ownNetworks: boolean) =>
        runProgram({
            preview,
            program: () => {
                const network = newNetwork("network", "dropscale-dev");
                const keys = new DeployKey("keys", { prefix: "dropscale-dev" });
                const other = ownNetworks ? newNetwork("network-b", "dropscale-dev-b") : network;
                const otherKeys = ownNetworks ? new DeployKey("keys-b", { prefix: "dropscale-dev-b" }) : keys;
                const servers = [...site("web", "", network, keys), ...site("api", "-b", other, otherKeys)];
                return Promise.resolve({ servers });
            },
        });
    const unique = (values: unknown[]) => {
        expect(values).toEqual([...new Set(values)]);
    };
    const namesOf = (registrations: Registration[], wanted: string) =>
        registrations.flatMap(({ type, inputs }) => (type === wanted ? [inputs.name] : []));

    it.each([
        ["in one network, with its tags", false],
        ["in a network each", true],
    ])("do not clash %s", async (_where, ownNetworks) => {
        const { registrations, outputs } = await run(ownNetworks);
        // A URN has no more than the types of a resource's parents beside these two.
        unique(registrations.map(({ type, name }) => `${type}::${name}`));
        expect(outputs.servers).toEqual(["web-0", "web-1", "api-0", "api-1"]);
        for (const type of [types.tag, types.firewall, types.vpc, types.sshKey]) {
            const names = namesOf(registrations, type);
            expect(names.length).toBeGreaterThan(0);
            unique(names);
        }
        // What the engine does not name, it would delete before it makes its successor.
        expect(namesOf(registrations, types.droplet)).toEqual(Array(6).fill(undefined));
    });

    it("have a haproxy.cfg each, with its own servers", async () => {
        const { find } = await run(false);
        const texts = ["haproxy-staged", "haproxy-b-staged"].map(
            (name) => find(types.remoteCommand, name).inputs.stdin,
        );
        if (preview) return;
        for (const [i, text] of texts.entries()) {
            const own = i === 0 ? "web" : "api";
            unique(String(text).match(/^(frontend|backend) .*$/gm) ?? []);
            const servers = [...String(text).matchAll(/^ {4}server (\S+) /gm)].map(([, name]) => name);
            expect(new Set(servers)).toEqual(new Set([`${own}-0`, `${own}-1`]));
        }
    });
});
