import { randomUUID } from "node:crypto";

import { Type } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";

import type { AlertPolicy } from "../../model.ts";
import { Compare, PolicyType, Window } from "../alert-answers.ts";
import { TagName } from "../answer-parts.ts";
import { One, Page } from "../answers.ts";
import type { ControlPlane } from "../control-plane.ts";
import { unprocessable } from "../errors.ts";
import { type Api, Deletion, Params, resource } from "../http.ts";
import { listOf, ReceiversBody, receiversFrom } from "../receivers.ts";

/** https://docs.digitalocean.com/reference/api/reference/monitoring/#monitoring_create_alertPolicy */
const Body = Type.Object({
    type: PolicyType,
    description: Type.String(),
    compare: Compare,
    value: Type.Number({ minimum: 0 }),
    window: Window,
    entities: listOf<string>(Type.String()),
    tags: listOf<string>(TagName),
    alerts: ReceiversBody,
    enabled: Type.Boolean(),
});

/** Alert policies: kept and shown, and never judged, so that nobody is told anything. */
export function alertPolicyRoutes(api: Api, control: ControlPlane): void {
    const { alertPolicies } = control.cloud;
    const url = "/v2/monitoring/alerts";
    const find = resource<AlertPolicy>(
        api,
        url,
        { one: "policy", many: Page.policies },
        { all: () => alertPolicies, matches: ({ uuid }, id) => uuid === id, view: (policy) => policy },
    );
    const response = { 200: One.policy };
    api.post(url, { schema: { body: Body, response } }, ({ body }) => {
        const policy = policyFrom(control, body, randomUUID());
        alertPolicies.push(policy);
        control.save();
        return { policy };
    });
    api.put(`${url}/:id`, { schema: { params: Params.Uuid, body: Body, response } }, ({ params, body }) => {
        const policy = find(params.id);
        Object.assign(policy, policyFrom(control, body, policy.uuid));
        control.save();
        return { policy };
    });
    api.delete(`${url}/:id`, { schema: Deletion }, (request, reply) => {
        alertPolicies.splice(alertPolicies.indexOf(find(request.params.id)), 1);
        control.save();
        return reply.code(204).send();
    });
}

function policyFrom({ instance }: ControlPlane, body: Static<typeof Body>, uuid: string): AlertPolicy {
    const { type, description, compare, value, window, enabled } = body;
    const refuse = (field: string, why: string) => unprocessable(`${field}: ${why}`);
    return {
        ...{ uuid, type, description, compare, value, window, enabled },
        entities: body.entities ?? [],
        tags: body.tags ?? [],
        alerts: receiversFrom(instance, "alerts", body.alerts, refuse),
    };
}
