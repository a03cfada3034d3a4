import { Type } from "@fastify/type-provider-typebox";

import type { Droplet, Firewall } from "../../model.ts";
import { CreatedDroplets, Neighbors, Nothing, One, Page, StartedActions } from "../answers.ts";
import type { ControlPlane } from "../control-plane.ts";
import { badRequest, found, unprocessable } from "../errors.ts";
import { type Api, link, list, listUnder, Params } from "../http.ts";
import { actionView, dropletView, firewallView, snapshotImageView } from "../views.ts";
import { ActionBody, bulkTypes, startActions } from "./droplet-actions.ts";
import { CreateBody, newDroplets } from "./droplet-create.ts";

/** Droplets: created, changed and deleted behind the client's back; it polls. */
export function dropletRoutes(api: Api, control: ControlPlane): void {
    const { cloud } = control;
    const find = (id: number | string) =>
        found(cloud.droplets.find((droplet) => String(droplet.id) === String(id)));
    const tagged = (tag: string) => cloud.droplets.filter(({ tags }) => tags.includes(tag));

    list(api, "/v2/droplets", Page.droplets, ({ tag_name: tag, name, type }) => {
        if (tag !== undefined && (name !== undefined || type !== undefined)) {
            throw badRequest("tag_name can not be combined with name or type");
        }
        return (tag === undefined ? cloud.droplets : tagged(tag))
            .filter(() => type !== "gpus")
            .filter((droplet) => name === undefined || droplet.name.toLowerCase() === name.toLowerCase())
            .map((droplet) => dropletView(control, droplet));
    });
    const Get = { params: Params.Id, response: { 200: One.droplet } };
    api.get("/v2/droplets/:id", { schema: Get }, (request) => ({
        droplet: dropletView(control, find(request.params.id)),
    }));

    const Create = { body: CreateBody, response: { 202: CreatedDroplets } };
    api.post("/v2/droplets", { schema: Create }, (request, reply) => {
        const droplets = newDroplets(control, request.body);
        const actions = control.create(droplets).map(({ id }) => link("create", "actions", id));
        const views = droplets.map((droplet) => dropletView(control, droplet));
        const links = { actions };
        return reply
            .code(202)
            .send(request.body.names ? { droplets: views, links } : { droplet: found(views[0]), links });
    });

    api.delete("/v2/droplets/:id", { schema: { params: Params.Id, response: Nothing } }, (request, reply) => {
        control.delete(find(request.params.id));
        return reply.code(204).send();
    });
    const querystring = Type.Object({ tag_name: Type.String({ minLength: 1 }) });
    api.delete("/v2/droplets", { schema: { querystring, response: Nothing } }, (request, reply) => {
        const droplets = tagged(request.query.tag_name);
        for (const droplet of droplets) control.refuseIfLocked(droplet);
        for (const droplet of droplets) control.delete(droplet);
        return reply.code(204).send();
    });
    const Bulk = { querystring, body: ActionBody, response: { 201: StartedActions } };
    api.post("/v2/droplets/actions", { schema: Bulk }, (request, reply) => {
        const { type } = request.body;
        if (!bulkTypes.includes(type)) {
            throw unprocessable(`type ${JSON.stringify(type)} is not one of ${bulkTypes.join(", ")}`);
        }
        const actions = startActions(control, tagged(request.query.tag_name), request.body);
        return reply.code(201).send({ actions: actions.map(actionView) });
    });
    subresources(api, control, find);
}

function subresources(api: Api, control: ControlPlane, find: (id: number | string) => Droplet): void {
    const { cloud } = control;
    const actionsOf = (id: number) =>
        cloud.actions.filter(
            ({ resourceType, resourceId }) => resourceType === "droplet" && resourceId === id,
        );

    listUnder(api, "/v2/droplets/:id/snapshots", Page.dropletSnapshots, find, ({ id }) =>
        cloud.snapshots.filter(({ dropletId }) => dropletId === id).map(snapshotImageView),
    );
    // The sandbox makes no backups, and its droplets bring no kernels to choose from.
    listUnder(api, "/v2/droplets/:id/backups", Page.backups, find, () => []);
    listUnder(api, "/v2/droplets/:id/kernels", Page.kernels, find, () => []);
    listUnder(api, "/v2/droplets/:id/firewalls", Page.firewalls, find, ({ id, tags }) => {
        const covers = (firewall: Firewall) =>
            firewall.dropletIds.includes(id) || firewall.tags.some((tag) => tags.includes(tag));
        return cloud.firewalls.filter(covers).map(firewallView);
    });
    // All droplets of a sandbox are on one machine.
    api.get(
        "/v2/droplets/:id/neighbors",
        { schema: { params: Params.Id, response: { 200: Neighbors } } },
        ({ params }) => {
            const droplet = find(params.id);
            const others = cloud.droplets.filter(
                (other) => other !== droplet && other.region === droplet.region,
            );
            return { droplets: others.map((other) => dropletView(control, other)) };
        },
    );
    listUnder(api, "/v2/droplets/:id/actions", Page.actions, find, ({ id }) =>
        actionsOf(id).map(actionView).reverse(),
    );
    const ActionOf = {
        params: Type.Object({ id: Type.Integer(), action: Type.Integer() }),
        response: { 200: One.action },
    };
    api.get("/v2/droplets/:id/actions/:action", { schema: ActionOf }, ({ params }) => ({
        action: actionView(found(actionsOf(params.id).find(({ id }) => id === params.action))),
    }));
    const Act = { params: Params.Id, body: ActionBody, response: { 201: One.action } };
    api.post("/v2/droplets/:id/actions", { schema: Act }, (request, reply) => {
        const [action] = startActions(control, [find(request.params.id)], request.body);
        return reply.code(201).send({ action: actionView(found(action)) });
    });
}
