import { Type } from "@fastify/type-provider-typebox";

import type { Firewall } from "../../model.ts";
import type { ControlPlane } from "../control-plane.ts";
import { found, unprocessable } from "../errors.ts";
import { type Api, link, list, Params } from "../http.ts";
import { actionView, dropletView, firewallView, snapshotImageView } from "../views.ts";
import { ActionBody, dropletActions } from "./droplet-actions.ts";
import { CreateBody, newDroplets } from "./droplet-create.ts";

/** Droplets: created, changed and deleted behind the client's back; it polls. */
export function dropletRoutes(api: Api, control: ControlPlane): void {
    const { cloud } = control;
    const find = (id: number | string) =>
        found(cloud.droplets.find((droplet) => String(droplet.id) === String(id)));
    const tagged = (tag: string) => cloud.droplets.filter(({ tags }) => tags.includes(tag));

    list(api, "/v2/droplets", "droplets", ({ tag_name: tag, name, type }) =>
        (tag === undefined ? cloud.droplets : tagged(tag))
            .filter(() => type !== "gpus")
            .filter((droplet) => name === undefined || droplet.name.toLowerCase() === name.toLowerCase())
            .map((droplet) => dropletView(control, droplet)),
    );
    api.get("/v2/droplets/:id", { schema: { params: Params.Id } }, (request) => ({
        droplet: dropletView(control, find(request.params.id)),
    }));

    api.post("/v2/droplets", { schema: { body: CreateBody } }, (request, reply) => {
        const droplets = newDroplets(control, request.body);
        const actions = control.create(droplets).map(({ id }) => link("create", "actions", id));
        const views = droplets.map((droplet) => dropletView(control, droplet));
        const body = request.body.names ? { droplets: views } : { droplet: views[0] };
        return reply.code(202).send({ ...body, links: { actions } });
    });

    api.delete("/v2/droplets/:id", { schema: { params: Params.Id } }, (request, reply) => {
        control.delete(find(request.params.id));
        return reply.code(204).send();
    });
    const ByTag = Type.Object({ tag_name: Type.String({ minLength: 1 }) });
    api.delete("/v2/droplets", { schema: { querystring: ByTag } }, (request, reply) => {
        const droplets = tagged(request.query.tag_name);
        for (const droplet of droplets) control.refuseIfLocked(droplet);
        for (const droplet of droplets) control.delete(droplet);
        return reply.code(204).send();
    });
    subresources(api, control, find);
}

function subresources(
    api: Api,
    control: ControlPlane,
    find: (id: number | string) => ControlPlane["cloud"]["droplets"][number],
): void {
    const { cloud } = control;
    const actionsOf = (id: number) =>
        cloud.actions.filter(
            ({ resourceType, resourceId }) => resourceType === "droplet" && resourceId === id,
        );

    list(api, "/v2/droplets/:id/snapshots", "snapshots", (_query, id) =>
        control.cloud.snapshots.filter(({ dropletId }) => dropletId === find(id).id).map(snapshotImageView),
    );
    list(api, "/v2/droplets/:id/firewalls", "firewalls", (_query, id) => {
        const { id: dropletId, tags } = find(id);
        const covers = (firewall: Firewall) =>
            firewall.dropletIds.includes(dropletId) || firewall.tags.some((tag) => tags.includes(tag));
        return cloud.firewalls.filter(covers).map(firewallView);
    });
    list(api, "/v2/droplets/:id/actions", "actions", (_query, id) =>
        actionsOf(find(id).id).map(actionView).reverse(),
    );
    const One = Type.Object({ id: Type.Integer(), action: Type.Integer() });
    api.get("/v2/droplets/:id/actions/:action", { schema: { params: One } }, ({ params }) => ({
        action: actionView(found(actionsOf(params.id).find(({ id }) => id === params.action))),
    }));
    const schema = { params: Params.Id, body: ActionBody };
    api.post("/v2/droplets/:id/actions", { schema }, (request, reply) => {
        const droplet = find(request.params.id);
        const { type } = request.body;
        const prepare = dropletActions.get(type);
        if (!prepare) {
            throw unprocessable(
                `The sandbox has no action ${JSON.stringify(type)}; it has ${[...dropletActions.keys()].join(", ")}.`,
            );
        }
        control.refuseIfLocked(droplet);
        const action = control.startAction(droplet, type, prepare(control, droplet, request.body));
        return reply.code(201).send({ action: actionView(action) });
    });
}
