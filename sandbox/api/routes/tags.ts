import { Type } from "@fastify/type-provider-typebox";

import type { ControlPlane } from "../control-plane.ts";
import { ApiError, found, unprocessable } from "../errors.ts";
import { type Api, Params, resource } from "../http.ts";
import { tagView } from "../views.ts";

/** https://docs.digitalocean.com/reference/api/reference/tags/ */
const tagPattern = /^[a-zA-Z0-9_:-]{1,255}$/;

/** Adds those that are new; refuses names that no tag can have. */
export function ensureTags(control: ControlPlane, names: readonly string[]): void {
    for (const name of names) {
        if (!tagPattern.test(name)) {
            throw new ApiError(
                400,
                "bad_request",
                `Error validating resource tag: "tag-name ${JSON.stringify(name)} contains invalid characters"`,
            );
        }
    }
    const { tags } = control.cloud;
    tags.push(...new Set(names.filter((name) => !tags.includes(name))));
}

/** Tags, and what carries them: firewalls that name a tag follow before the answer is sent. */
export function tagRoutes(api: Api, control: ControlPlane): void {
    const { cloud } = control;
    const find = resource<string>(
        api,
        "/v2/tags",
        { one: "tag", many: "tags" },
        { all: () => cloud.tags, matches: (tag, name) => tag === name, view: (tag) => tagView(control, tag) },
    );
    api.post("/v2/tags", { schema: { body: Type.Object({ name: Type.String() }) } }, (request, reply) => {
        const { name } = request.body;
        ensureTags(control, [name]);
        control.save();
        return reply.code(201).send({ tag: tagView(control, name) });
    });
    api.delete("/v2/tags/:id", { schema: { params: Params.Uuid } }, async (request, reply) => {
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
    const schema = { params: Params.Uuid, body: Body };
    const taggable = (resource: { resource_id: string; resource_type: string }) => {
        const kinds = new Map<string, { id: number; tags: string[] }[]>([
            ["droplet", cloud.droplets],
            ["image", control.cloud.snapshots],
        ]);
        const things = kinds.get(resource.resource_type);
        if (!things) {
            throw unprocessable(
                `resource_type ${JSON.stringify(resource.resource_type)} can't be tagged in the sandbox: droplet or image can`,
            );
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
