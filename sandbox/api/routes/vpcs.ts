import { randomUUID } from "node:crypto";

import { Type } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";

import type { Vpc } from "../../model.ts";
import { contains, lowestFreeRange, overlap, parseCidr, range } from "../../addresses.ts";
import { regions } from "../catalog.ts";
import { timestamp } from "../cloud.ts";
import { One, Page } from "../answers.ts";
import type { ControlPlane } from "../control-plane.ts";
import { ApiError, unprocessable } from "../errors.ts";
import { type Api, Deletion, listUnder, Params, resource } from "../http.ts";
import { vpcView } from "../views.ts";

/** Rules for names and ranges: https://docs.digitalocean.com/reference/api/reference/vpcs/ */
const namePattern = /^[a-zA-Z0-9\-.]+$/;
const privateRanges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(range);
const smallest = 2 ** (32 - 28);
const largest = 2 ** (32 - 16);
const defaultPrefix = 20;

/** Adds a VPC; the first one of a region is its default. */
export function addVpc(
    { cloud, instance }: ControlPlane,
    wanted: { name: string; region: string; description?: string; ipRange?: string },
): Vpc {
    const taken = [instance.addresses.anchorCidr, ...cloud.vpcs.map((vpc) => vpc.ipRange)];
    const ipRange = wanted.ipRange ?? lowestFreeRange(instance.addresses.vpcPool, defaultPrefix, taken);
    if (!ipRange) throw unprocessable(`no /${defaultPrefix} is free in ${instance.addresses.vpcPool}`);
    const vpc: Vpc = {
        id: randomUUID(),
        name: wanted.name,
        description: wanted.description ?? "",
        region: wanted.region,
        ipRange,
        default: !cloud.vpcs.some(({ region }) => region === wanted.region),
        createdAt: timestamp(),
    };
    cloud.vpcs.push(vpc);
    return vpc;
}

/** VPCs. One with members, or a region's default, can't be deleted. */
export function vpcRoutes(api: Api, control: ControlPlane): void {
    const { cloud } = control;
    const find = resource<Vpc>(
        api,
        "/v2/vpcs",
        { one: "vpc", many: Page.vpcs },
        { all: () => cloud.vpcs, matches: (vpc, id) => vpc.id === id, view: vpcView },
    );
    const members = (vpc: Vpc) => control.occupants().filter(({ vpcUuid }) => vpcUuid === vpc.id);

    listUnder(api, "/v2/vpcs/:id/members", Page.members, find, (vpc, { resource_type: type }) =>
        type && type !== "droplet"
            ? []
            : members(vpc).map((droplet) => ({
                  urn: `do:droplet:${droplet.id}`,
                  name: droplet.name,
                  created_at: droplet.createdAt,
              })),
    );

    const Description = Type.Optional(Type.String({ maxLength: 255 }));
    const Create = Type.Object({
        name: Type.String(),
        region: Type.String(),
        description: Description,
        ip_range: Type.Optional(Type.String()),
    });
    api.post("/v2/vpcs", { schema: { body: Create, response: { 201: One.vpc } } }, async (request, reply) => {
        const { name, region, description, ip_range: ipRange } = request.body;
        refuseName(cloud.vpcs, name);
        refuseRegion(region);
        if (ipRange) refuseRange(control, ipRange);
        const vpc = addVpc(control, {
            name,
            region,
            ...(description ? { description } : {}),
            ...(ipRange ? { ipRange } : {}),
        });
        await control.commit();
        return reply.code(201).send({ vpc: vpcView(vpc) });
    });

    const Change = { description: Description, default: Type.Optional(Type.Boolean()) };
    const Put = Type.Object({ ...Change, name: Type.String() });
    const Patch = Type.Object({ ...Change, name: Type.Optional(Type.String()) });
    const change = (vpc: Vpc, wanted: Static<typeof Patch>) => {
        const { name = vpc.name, description = vpc.description, default: isDefault } = wanted;
        const others = cloud.vpcs.filter((other) => other !== vpc);
        refuseName(others, name);
        Object.assign(vpc, { name, description });
        if (isDefault) {
            for (const other of others.filter(({ region }) => region === vpc.region)) other.default = false;
            vpc.default = true;
        }
        control.save();
        return { vpc: vpcView(vpc) };
    };
    const schema = { params: Params.Uuid, response: { 200: One.vpc } };
    api.put("/v2/vpcs/:id", { schema: { ...schema, body: Put } }, (request) =>
        change(find(request.params.id), request.body),
    );
    api.patch("/v2/vpcs/:id", { schema: { ...schema, body: Patch } }, (request) =>
        change(find(request.params.id), request.body),
    );

    api.delete("/v2/vpcs/:id", { schema: Deletion }, async (request, reply) => {
        const vpc = find(request.params.id);
        if (vpc.default) throw new ApiError(403, "forbidden", "Can not delete default VPCs");
        if (members(vpc).length > 0) throw new ApiError(409, "conflict", "Can not delete VPC with members");
        cloud.vpcs.splice(cloud.vpcs.indexOf(vpc), 1);
        await control.commit();
        return reply.code(204).send();
    });
}

/** 422 unless a region of that slug takes something new. */
export function refuseRegion(wanted = ""): void {
    if (!regions.some(({ slug, available }) => slug === wanted && available)) {
        throw unprocessable(`${JSON.stringify(wanted)} is not a valid region`);
    }
}

function refuseName(others: readonly Vpc[], name: string): void {
    if (!namePattern.test(name)) {
        throw unprocessable("name may only contain alphanumeric characters, dashes, and periods");
    }
    if (others.some((vpc) => vpc.name === name)) {
        throw unprocessable("a VPC with the same name already exists in your account");
    }
}

function refuseRange({ cloud, instance }: ControlPlane, ipRange: string): void {
    const wanted = parseCidr(ipRange);
    if (!wanted || wanted.count < smallest || wanted.count > largest) {
        throw unprocessable(`ip_range ${JSON.stringify(ipRange)} is not a network from /28 to /16`);
    }
    if (!privateRanges.some((outer) => contains(outer, wanted))) {
        throw unprocessable(`ip_range ${ipRange} is not in the range of private addresses of RFC 1918`);
    }
    const other = cloud.vpcs.find((vpc) => overlap(range(vpc.ipRange), wanted));
    if (other) {
        throw unprocessable(
            `This range/size overlaps with another VPC network in your account: ${other.name} ${other.ipRange}.`,
        );
    }
    if (overlap(range(instance.addresses.anchorCidr), wanted)) {
        throw unprocessable(`ip_range ${ipRange} overlaps with a range reserved for DigitalOcean's own use`);
    }
}
