import { Type } from "@fastify/type-provider-typebox";

import type { Droplet, ReservedIp } from "../../model.ts";
import { lowestFreeAddress, toNumber } from "../../addresses.ts";
import { CreatedReservedIp, One, Page } from "../answers.ts";
import type { ControlPlane } from "../control-plane.ts";
import { found, unprocessable } from "../errors.ts";
import { type Api, Deletion, link, listUnder, Params, resource } from "../http.ts";
import { actionView, reservedIpView } from "../views.ts";
import { refuseRegion } from "./vpcs.ts";

/** Reserved IPs: at most one a droplet, in the droplet's region. */
export function reservedIpRoutes(api: Api, control: ControlPlane): void {
    const { cloud } = control;
    const find = resource<ReservedIp>(
        api,
        "/v2/reserved_ips",
        { one: "reserved_ip", many: Page.reservedIps },
        {
            all: () => cloud.reservedIps,
            matches: ({ ip }, id) => ip === id,
            view: (reservedIp) => reservedIpView(control, reservedIp),
        },
    );
    const actionsOf = ({ ip, firstActionId = 0 }: ReservedIp) =>
        cloud.actions.filter(
            ({ id, resourceType, resourceId }) =>
                resourceType === "reserved_ip" && resourceId === toNumber(ip) && id >= firstActionId,
        );

    const Create = Type.Object({
        region: Type.Optional(Type.String()),
        droplet_id: Type.Optional(Type.Integer()),
    });
    api.post(
        "/v2/reserved_ips",
        { schema: { body: Create, response: { 202: CreatedReservedIp } } },
        async (request, reply) => {
            const { droplet_id: dropletId, region } = request.body;
            const droplet = dropletId ? target(control, dropletId) : undefined;
            const reservedIp = reserve(control, droplet?.region ?? region);
            await control.commit();
            const links = droplet
                ? {
                      droplets: [link("droplet", "droplets", droplet.id)],
                      actions: [link("assign_ip", "actions", control.assign(reservedIp, droplet.id).id)],
                  }
                : {};
            return reply.code(202).send({ reserved_ip: reservedIpView(control, reservedIp), links });
        },
    );

    api.delete("/v2/reserved_ips/:id", { schema: Deletion }, async (request, reply) => {
        const reservedIp = find(request.params.id);
        if (control.isPending(reservedIp))
            throw unprocessable("The reserved IP already has a pending event.");
        cloud.reservedIps.splice(cloud.reservedIps.indexOf(reservedIp), 1);
        await control.commit();
        return reply.code(204).send();
    });

    const Act = Type.Object({ type: Type.String(), droplet_id: Type.Optional(Type.Integer()) });
    const schema = { params: Params.Uuid, body: Act, response: { 201: One.action } };
    api.post("/v2/reserved_ips/:id/actions", { schema }, (request, reply) => {
        const reservedIp = find(request.params.id);
        const { type, droplet_id: dropletId } = request.body;
        if (type !== "assign" && type !== "unassign") {
            throw unprocessable(`type ${JSON.stringify(type)} is not one of assign and unassign`);
        }
        const action =
            type === "assign"
                ? control.assign(reservedIp, target(control, dropletId, reservedIp).id)
                : control.assign(unassignable(reservedIp), null);
        return reply.code(201).send({ action: actionView(action) });
    });
    listUnder(api, "/v2/reserved_ips/:id/actions", Page.actions, find, (reservedIp) =>
        actionsOf(reservedIp).map(actionView).reverse(),
    );
    const ActionOf = {
        params: Type.Object({ id: Type.String(), action: Type.Integer() }),
        response: { 200: One.action },
    };
    api.get("/v2/reserved_ips/:id/actions/:action", { schema: ActionOf }, ({ params }) => ({
        action: actionView(found(actionsOf(find(params.id)).find(({ id }) => id === params.action))),
    }));
}

function reserve({ cloud, instance }: ControlPlane, region: string | undefined): ReservedIp {
    refuseRegion(region);
    const { publicCidr } = instance.addresses;
    const taken = new Set(cloud.reservedIps.map(({ ip }) => ip));
    const ip = lowestFreeAddress(publicCidr, taken, "upper");
    if (!ip) throw unprocessable(`no reserved IP is free in the upper half of ${publicCidr}`);
    const reservedIp: ReservedIp = { ip, region: region ?? "", dropletId: null, firstActionId: cloud.nextId };
    cloud.reservedIps.push(reservedIp);
    return reservedIp;
}

/** The droplet that an IP may be assigned to. */
function target(control: ControlPlane, dropletId = 0, reservedIp?: ReservedIp): Droplet {
    const { cloud } = control;
    const droplet = cloud.droplets.find(({ id }) => id === dropletId);
    if (!droplet) throw unprocessable(`droplet_id ${dropletId} is not one of your Droplets`);
    control.refuseIfLocked(droplet);
    if (reservedIp && reservedIp.region !== droplet.region) {
        throw unprocessable(
            `The reserved IP is in ${reservedIp.region}, the Droplet in ${droplet.region}: both must be in one region.`,
        );
    }
    const other = cloud.reservedIps.find((candidate) => candidate.dropletId === droplet.id);
    if (other && other !== reservedIp) {
        throw unprocessable(`The Droplet already has a reserved IP: ${other.ip}.`);
    }
    return droplet;
}

function unassignable(reservedIp: ReservedIp): ReservedIp {
    if (reservedIp.dropletId === null) throw unprocessable("The reserved IP is not assigned to a Droplet.");
    return reservedIp;
}
