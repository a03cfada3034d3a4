import { randomUUID } from "node:crypto";
import { isIP } from "node:net";

import { Type } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";

import type { Firewall, FirewallRule } from "../../model.ts";
import { timestamp } from "../cloud.ts";
import { Nothing, One, Page } from "../answers.ts";
import type { ControlPlane } from "../control-plane.ts";
import { ApiError, unprocessable } from "../errors.ts";
import { type Api, Deletion, Params, resource } from "../http.ts";
import { firewallView } from "../views.ts";
import { tagNamed } from "./tags.ts";

const nullable = <T extends Parameters<typeof Type.Array>[0]>(items: T) =>
    Type.Optional(Type.Union([Type.Null(), Type.Array(items)]));
const Ids = nullable(Type.Integer());
const Names = nullable(Type.String());
const Peers = Type.Object({
    addresses: Names,
    droplet_ids: Ids,
    tags: Names,
    load_balancer_uids: Names,
    kubernetes_ids: Names,
});
const Rule = Type.Object({ protocol: Type.String(), ports: Type.Optional(Type.String()) });
const Inbound = nullable(Type.Intersect([Rule, Type.Object({ sources: Peers })]));
const Outbound = nullable(Type.Intersect([Rule, Type.Object({ destinations: Peers })]));
const Rules = { inbound_rules: Inbound, outbound_rules: Outbound };
const Body = Type.Object({ name: Type.String(), ...Rules, droplet_ids: Ids, tags: Names });
type Body = Static<typeof Body>;

/** What can be added to a firewall, and taken from it, without the rest. */
const parts = {
    droplets: Type.Object({ droplet_ids: Type.Array(Type.Integer()) }),
    tags: Type.Object({ tags: Type.Array(Type.String()) }),
    rules: Type.Object(Rules, { minProperties: 1 }),
};

/** https://docs.digitalocean.com/reference/api/reference/firewalls/ */
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9.-]+$/;

/** Cloud firewalls. What changes here holds in the network before the answer is sent. */
export function firewallRoutes(api: Api, control: ControlPlane): void {
    const { cloud } = control;
    const find = resource<Firewall>(
        api,
        "/v2/firewalls",
        { one: "firewall", many: Page.firewalls },
        { all: () => cloud.firewalls, matches: (firewall, id) => firewall.id === id, view: firewallView },
    );
    api.post(
        "/v2/firewalls",
        { schema: { body: Body, response: { 202: One.firewall } } },
        async (request, reply) => {
            const firewall = {
                id: randomUUID(),
                createdAt: timestamp(),
                ...checked(control, request.body, cloud.firewalls),
            };
            cloud.firewalls.push(firewall);
            await control.commit();
            return reply.code(202).send({ firewall: firewallView(firewall) });
        },
    );
    const Put = { params: Params.Uuid, body: Body, response: { 200: One.firewall } };
    api.put("/v2/firewalls/:id", { schema: Put }, async (request) => {
        const firewall = find(request.params.id);
        const others = cloud.firewalls.filter((other) => other !== firewall);
        Object.assign(firewall, checked(control, request.body, others));
        await control.commit();
        return { firewall: firewallView(firewall) };
    });
    for (const [part, body] of Object.entries(parts)) {
        const schema = { params: Params.Uuid, body, response: Nothing };
        for (const [method, change] of [
            ["POST", union],
            ["DELETE", difference],
        ] as const) {
            api.route({
                method,
                url: `/v2/firewalls/:id/${part}`,
                schema,
                handler: async (request, reply) => {
                    const firewall = find(request.params.id);
                    Object.assign(firewall, changed(firewall, listsOf(control, request.body), change));
                    await control.commit();
                    return reply.code(204).send();
                },
            });
        }
    }
    api.delete("/v2/firewalls/:id", { schema: Deletion }, async (request, reply) => {
        cloud.firewalls.splice(cloud.firewalls.indexOf(find(request.params.id)), 1);
        await control.commit();
        return reply.code(204).send();
    });
}

/** The whole of a firewall that a client sent; what it left out is empty. */
function checked(control: ControlPlane, body: Body, others: readonly Firewall[]) {
    if (!namePattern.test(body.name)) {
        throw unprocessable(
            "name must begin with an alphanumeric character and contain only those, periods and dashes",
        );
    }
    if (others.some(({ name }) => name === body.name)) throw new ApiError(409, "conflict", "duplicate name");
    return { name: body.name, ...withRules(listsOf(control, body)) };
}

type Lists = Pick<Firewall, "dropletIds" | "tags" | "inbound" | "outbound">;

function listsOf(control: ControlPlane, body: Omit<Body, "name">): Lists {
    return {
        ...existing(control, body.droplet_ids ?? [], body.tags ?? []),
        inbound: (body.inbound_rules ?? []).map((rule) => checkedRule(control, rule, rule.sources)),
        outbound: (body.outbound_rules ?? []).map((rule) => checkedRule(control, rule, rule.destinations)),
    };
}

function withRules(lists: Lists): Lists {
    if (lists.inbound.length + lists.outbound.length === 0)
        throw unprocessable("must have at least one rule");
    return lists;
}

type Change = <T>(has: readonly T[], given: readonly T[]) => T[];

function changed(firewall: Lists, given: Lists, change: Change): Lists {
    return withRules({
        dropletIds: change(firewall.dropletIds, given.dropletIds),
        tags: change(firewall.tags, given.tags),
        inbound: change(firewall.inbound, given.inbound),
        outbound: change(firewall.outbound, given.outbound),
    });
}

const difference: Change = (has, given) => has.filter((one) => !given.some((other) => isSame(one, other)));
const union: Change = (has, given) => [...has, ...difference(given, has)];

/** Two rules are the same whatever the order of their peers. */
function isSame(one: unknown, other: unknown): boolean {
    const text = (thing: unknown) =>
        JSON.stringify(thing, (_key, value: unknown) =>
            Array.isArray(value) ? [...(value as unknown[])].sort() : value,
        );
    return text(one) === text(other);
}

/** What is named, each once and tags as they are written; refuses what there is none of. */
function existing({ cloud }: ControlPlane, dropletIds: number[], names: string[]) {
    if (!dropletIds.every((wanted) => cloud.droplets.some(({ id }) => id === wanted))) {
        throw unprocessable("droplet does not exist");
    }
    const tags = names.map((name) => {
        const tag = tagNamed(cloud, name);
        if (tag === undefined) throw unprocessable(`tag ${name} does not exist`);
        return tag;
    });
    return { dropletIds: [...new Set(dropletIds)], tags: [...new Set(tags)] };
}

function checkedRule(
    control: ControlPlane,
    { protocol, ports }: Static<typeof Rule>,
    peers: Static<typeof Peers>,
): FirewallRule {
    const kind = protocol.toLowerCase();
    if (kind !== "tcp" && kind !== "udp" && kind !== "icmp") {
        throw unprocessable(`protocol ${JSON.stringify(protocol)} is not one of tcp, udp and icmp`);
    }
    const addresses = peers.addresses ?? [];
    const wrong = addresses.find((address) => !isAddressOrRange(address));
    if (wrong !== undefined) throw unprocessable(`${JSON.stringify(wrong)} is not an address or CIDR`);
    const named = existing(control, peers.droplet_ids ?? [], peers.tags ?? []);
    if (peers.load_balancer_uids?.length) throw unprocessable("load balancer does not exist");
    if (peers.kubernetes_ids?.length) throw unprocessable("kubernetes cluster does not exist");
    return {
        protocol: kind,
        ports: kind === "icmp" ? "all" : checkedPorts(ports),
        addresses,
        ...named,
    };
}

/** The API shows all ports as "0", and takes "all" and nothing for it as well. */
function checkedPorts(ports = "0"): string {
    if (ports === "" || ports === "0" || ports === "all") return "all";
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(ports) ?? [];
    if (first === undefined || Number(first) < 1 || Number(first) > Number(last) || Number(last) > 65535) {
        throw unprocessable(`ports ${JSON.stringify(ports)} is not a port, a range (8000-9000) or "all"`);
    }
    return ports;
}

function isAddressOrRange(text: string): boolean {
    const [address = "", prefix, ...rest] = text.split("/");
    const bits = { 4: 32, 6: 128 }[isIP(address)];
    if (bits === undefined || rest.length > 0) return false;
    return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
}
