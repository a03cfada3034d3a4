import { isIPv4 } from "node:net";

import { Type } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";

import type { Domain, DomainRecord } from "../../model.ts";
import { defaultTtlSeconds, fullName, nameServers, zoneFile } from "../../zones.ts";
import { Nothing, One, Page } from "../answers.ts";
import type { ControlPlane } from "../control-plane.ts";
import type * as answers from "../domain-answers.ts";
import { found, unprocessable } from "../errors.ts";
import { type Api, Deletion, listUnder, Params, resource } from "../http.ts";
import { isName, RecordBody, recordFrom } from "../records.ts";

/** Domains, and their records; what they say holds in the region's DNS at once. */
export function domainRoutes(api: Api, control: ControlPlane): void {
    const { cloud } = control;
    const find = resource<Domain>(
        api,
        "/v2/domains",
        { one: "domain", many: Page.domains },
        { all: () => cloud.domains, matches: ({ name }, id) => name === id.toLowerCase(), view: domainView },
    );
    const Create = {
        body: Type.Object({ name: Type.String(), ip_address: Type.Optional(Type.String()) }),
        response: { 201: One.domain },
    };
    api.post("/v2/domains", { schema: Create }, async (request, reply) => {
        const domain = newDomain(control, request.body.name, request.body.ip_address);
        cloud.domains.push(domain);
        await control.commit();
        return reply.code(201).send({ domain: { ...domainView(domain), zone_file: null } });
    });
    api.delete("/v2/domains/:id", { schema: Deletion }, async (request, reply) => {
        cloud.domains.splice(cloud.domains.indexOf(find(request.params.id)), 1);
        await control.commit();
        return reply.code(204).send();
    });
    recordRoutes(api, control, find);
}

function recordRoutes(api: Api, control: ControlPlane, find: (id: string) => Domain): void {
    const url = "/v2/domains/:id/records";
    listUnder(api, url, Page.domainRecords, find, (domain, { type, name }) =>
        domain.records
            .filter((record) => type === undefined || record.type === type)
            .filter((record) => name === undefined || fullName(domain, record.name) === name.toLowerCase())
            .map(recordView),
    );
    const create = { params: Params.Uuid, body: RecordBody, response: { 201: One.domain_record } };
    api.post(url, { schema: create }, (request, reply) => {
        const domain = find(request.params.id);
        const record = recordFrom(domain, request.body, control.newId());
        domain.records.push(record);
        changed(control, domain);
        return reply.code(201).send({ domain_record: recordView(record) });
    });

    const params = Type.Object({ id: Type.String(), record: Type.Integer() });
    const one = ({ id, record }: Static<typeof params>) => {
        const domain = find(id);
        return { domain, record: found(domain.records.find((other) => other.id === record)) };
    };
    const answer = { params, response: { 200: One.domain_record } };
    api.get(`${url}/:record`, { schema: answer }, (request) => ({
        domain_record: recordView(one(request.params).record),
    }));
    for (const method of ["PUT", "PATCH"] as const) {
        api.route({
            method,
            url: `${url}/:record`,
            schema: { ...answer, body: RecordBody },
            handler: (request) => {
                const { domain, record } = one(request.params);
                Object.assign(record, recordFrom(domain, request.body, record.id, record));
                changed(control, domain);
                return { domain_record: recordView(record) };
            },
        });
    }
    api.delete(`${url}/:record`, { schema: { params, response: Nothing } }, (request, reply) => {
        const { domain, record } = one(request.params);
        if (record.type === "SOA") throw unprocessable("The SOA record of a domain can't be deleted.");
        domain.records.splice(domain.records.indexOf(record), 1);
        changed(control, domain);
        return reply.code(204).send();
    });
}

function newDomain(control: ControlPlane, given: string, ipAddress = ""): Domain {
    const name = given.toLowerCase();
    if (!isName(name) || !name.includes(".") || name.includes("*")) {
        throw unprocessable(`domain '${given}': name is not a valid domain name`);
    }
    if (control.cloud.domains.some((other) => other.name === name)) {
        throw unprocessable(`domain '${name}': name already exists`);
    }
    if (ipAddress !== "" && !isIPv4(ipAddress)) {
        throw unprocessable("IP address did not match IPv4 format (e.g. 127.0.0.1).");
    }
    const own = (type: DomainRecord["type"], data: string): DomainRecord => ({
        id: control.newId(),
        ...{ type, name: "@", data, ttlSeconds: defaultTtlSeconds },
        ...{ priority: null, port: null, weight: null, flags: null, tag: null },
    });
    const records = [
        own("SOA", String(defaultTtlSeconds)),
        ...nameServers.map((server) => own("NS", server)),
        ...(ipAddress === "" ? [] : [own("A", ipAddress)]),
    ];
    return { name, serial: now(), records };
}

/** DNS reads the cloud at each question: nothing else has to follow. */
function changed(control: ControlPlane, domain: Domain): void {
    domain.serial = Math.max(domain.serial + 1, now());
    control.save();
}

function now(): number {
    return Math.floor(Date.now() / 1000);
}

function domainView(domain: Domain): Static<typeof answers.Domain> {
    return { name: domain.name, ttl: defaultTtlSeconds, zone_file: zoneFile(domain) };
}

function recordView(record: DomainRecord): Static<typeof answers.DomainRecord> {
    const { ttlSeconds, ...rest } = record;
    return { ...rest, ttl: ttlSeconds };
}
