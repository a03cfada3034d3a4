import { Type } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";

import type { Cloud } from "../../model.ts";
import { Nothing, One, Page, RootCauses, type Tag } from "../answers.ts";
import type { ControlPlane } from "../control-plane.ts";
import { badRequest, found, lacking, unprocessable } from "../errors.ts";
import { type Api, Deletion, Params, resource } from "../http.ts";

/** https://docs.digitalocean.com/reference/api/reference/tags/ */
const tagPattern = /^[a-zA-Z0-9_:-]{1,255}$/;

/** The tag of that name. Names that differ in case are one tag's, which is written as it was first. */
export function tagNamed({ tags }: Pick<Cloud, "tags">, name: string): string | undefined {
    return tags.find((tag) => tag.toLowerCase() === name.toLowerCase());
}

/** Adds those that are new, and gives all of them as they are written; refuses names that no tag can have. */
export function ensureTags({ cloud }: ControlPlane, names: readonly string[]): Set<string> {
    for (const name of names) {
        if (!tagPattern.test(name)) {
            throw badRequest(
                `Error validating resource tag: "tag-name ${JSON.stringify(name)} contains invalid characters"`,
            );
        }
    }
    for (const name of names) {
        if (tagNamed(cloud, name) === undefined) cloud.tags.push(name);
    }
    return new Set(names.map((name) => tagNamed(cloud, name) ?? name));
}

/** Tags, and what carries them: firewalls that name a tag follow before the answer is sent. */
export function tagRoutes(api: Api, control: ControlPlane): void {
    const { cloud } = control;
    const find = resource<string>(
        api,
        "/v2/tags",
        { one: "tag", many: Page.tags },
        { all: () => cloud.tags, matches: (tag, name) => tag === name, view: (tag) => tagView(control, tag) },
    );
    const Create = {
        body: Type.Object({ name: Type.String() }),
        response: { 201: One.tag, 400: RootCauses },
    };
    api.post("/v2/tags", { schema: Create }, (request, reply) => {
        const { name } = request.body;
        const [tag = name] = ensureTags(control, [name]);
        control.save();
        return reply.code(201).send({ tag: tagView(control, tag) });
    });
    api.delete("/v2/tags/:id", { schema: Deletion }, async (request, reply) => {
        const tag = find(request.params.id);
        cloud.tags.splice(cloud.tags.indexOf(tag), 1);
        const rules = cloud.firewalls.flatMap(({ inbound, outbound }) => [...inbound, ...outbound]);
        for (const thing of [...cloud.droplets, ...cloud.snapshots, ...cloud.firewalls, ...rules]) {
            thing.tags = thing.tags.filter((other) => other !== tag);
        }
        await control.commit();
        return reply.code(204).send();
    });

    const Body = Type.Object({
        resources: Type.Array(Type.Object({ resource_id: Type.String(), resource_type: Type.String() })),
    });
    const schema = { params: Params.Uuid, body: Body, response: Nothing };
    const taggable = (resource: { resource_id: string; resource_type: string }) => {
        const kinds = new Map<string, { id: number; tags: string[] }[]>([
            ["droplet", cloud.droplets],
            ["image", control.cloud.snapshots],
        ]);
        const things = kinds.get(resource.resource_type);
        if (!things) {
            const type = resource.resource_type;
            const message = `resource_type ${JSON.stringify(type)} can't be tagged in the sandbox: droplet or image can`;
            const documented = ["database", "volume", "volume_snapshot"].includes(type);
            throw documented ? lacking(`tags on a ${type}`, message) : unprocessable(message);
        }
        return found(things.find(({ id }) => String(id) === resource.resource_id));
    };
    for (const method of ["POST", "DELETE"] as const) {
        api.route({
            method,
            url: "/v2/tags/:id/resources",
            schema,
            handler: async (request, reply) => {
                const tag = find(request.params.id);
                for (const thing of request.body.resources.map(taggable)) {
                    thing.tags = thing.tags.filter((other) => other !== tag);
                    if (method === "POST") thing.tags.push(tag);
                }
                await control.commit();
                return reply.code(204).send();
            },
        });
    }
}

/** A tag, and how much carries it. */
function tagView({ cloud }: ControlPlane, tag: string): Static<typeof Tag> {
    const used = (kind: string, things: { id: number; tags: string[] }[]) => {
        const tagged = things.filter(({ tags }) => tags.includes(tag));
        const last = tagged.at(-1);
        return {
            count: tagged.length,
            ...(last ? { last_tagged_uri: `https://api.digitalocean.com/v2/${kind}/${last.id}` } : {}),
        };
    };
    const droplets = used("droplets", cloud.droplets);
    const images = used("images", cloud.snapshots);
    return {
        name: tag,
        resources: {
            ...(droplets.count > 0 ? droplets : images),
            count: droplets.count + images.count,
            droplets,
            images,
            volumes: { count: 0 },
            volume_snapshots: { count: 0 },
            databases: { count: 0 },
        },
    };
}
