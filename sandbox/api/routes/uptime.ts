import { randomUUID } from "node:crypto";
import { isIP } from "node:net";

import { Type } from "@fastify/type-provider-typebox";
import type { Static, TSchema } from "typebox";
import { Check } from "typebox/value";

import type { UptimeAlert, UptimeCheck } from "../../model.ts";
import type * as answers from "../alert-answers.ts";
import { CheckRegion, CheckType, Comparison, Period, UptimeAlertType } from "../alert-answers.ts";
import { Nothing, One, Page } from "../answers.ts";
import { timestamp } from "../cloud.ts";
import type { ControlPlane } from "../control-plane.ts";
import { badRequest, found } from "../errors.ts";
import { type Api, Deletion, listUnder, Params, resource } from "../http.ts";
import { listOf, ReceiversBody, receiversFrom } from "../receivers.ts";
import type { UptimeProber } from "../uptime-prober.ts";

/** https://docs.digitalocean.com/reference/api/reference/uptime/#uptime_create_check */
const CheckBody = Type.Object({
    name: Type.Optional(Type.String()),
    type: Type.Optional(Type.String()),
    target: Type.Optional(Type.String()),
    regions: listOf<string>(Type.String()),
    enabled: Type.Optional(Type.Boolean()),
});

/** https://docs.digitalocean.com/reference/api/reference/uptime/#uptime_create_alert */
const AlertBody = Type.Object({
    name: Type.String(),
    type: Type.String(),
    threshold: Type.Optional(Type.Integer({ minimum: 0 })),
    comparison: Type.Optional(Type.String()),
    notifications: ReceiversBody,
    period: Type.String(),
});

/** Checks of sites from outside, and their alerts; a site is really asked, and nobody is told. */
export function uptimeRoutes(api: Api, control: ControlPlane, prober: UptimeProber): void {
    const { uptimeChecks } = control.cloud;
    const url = "/v2/uptime/checks";
    const find = resource<UptimeCheck>(
        api,
        url,
        { one: "check", many: Page.checks },
        { all: () => uptimeChecks, matches: (check, id) => check.id === id, view: checkView },
    );
    const create = { body: CheckBody, response: { 201: One.check } };
    api.post(url, { schema: create }, ({ body }, reply) => {
        const check = {
            ...{ id: randomUUID(), createdAt: timestamp(), alerts: [] },
            ...checkFrom(body, { enabled: false, regions: CheckRegion.enum }),
        };
        uptimeChecks.push(check);
        control.save();
        prober.look(check);
        return reply.code(201).send({ check: checkView(check) });
    });
    const change = { params: Params.Uuid, body: CheckBody, response: { 200: One.check } };
    api.put(`${url}/:id`, { schema: change }, ({ params, body }) => {
        const check = find(params.id);
        Object.assign(check, checkFrom(body, check));
        control.save();
        prober.look(check);
        return { check: checkView(check) };
    });
    api.delete(`${url}/:id`, { schema: Deletion }, (request, reply) => {
        uptimeChecks.splice(uptimeChecks.indexOf(find(request.params.id)), 1);
        control.save();
        return reply.code(204).send();
    });
    const seen = { params: Params.Uuid, response: { 200: One.state } };
    api.get(`${url}/:id/state`, { schema: seen }, ({ params }) => ({
        state: prober.stateOf(find(params.id)),
    }));
    alertRoutes(api, control, find);
}

function alertRoutes(api: Api, control: ControlPlane, find: (id: string) => UptimeCheck): void {
    const url = "/v2/uptime/checks/:id/alerts";
    listUnder(api, url, Page.alerts, find, ({ alerts }) => alerts);
    const create = { params: Params.Uuid, body: AlertBody, response: { 201: One.alert } };
    api.post(url, { schema: create }, ({ params, body }, reply) => {
        const check = find(params.id);
        const alert = alertFrom(control, body, randomUUID());
        check.alerts.push(alert);
        control.save();
        return reply.code(201).send({ alert });
    });
    const params = Type.Object({ id: Type.String(), alert: Type.String() });
    const one = ({ id, alert }: Static<typeof params>) => {
        const check = find(id);
        return { check, alert: found(check.alerts.find((other) => other.id === alert)) };
    };
    const answer = { params, response: { 200: One.alert } };
    api.get(`${url}/:alert`, { schema: answer }, (request) => ({ alert: one(request.params).alert }));
    api.put(`${url}/:alert`, { schema: { ...answer, body: AlertBody } }, (request) => {
        const { check, alert } = one(request.params);
        const next = alertFrom(control, request.body, alert.id);
        check.alerts.splice(check.alerts.indexOf(alert), 1, next);
        control.save();
        return { alert: next };
    });
    api.delete(`${url}/:alert`, { schema: { params, response: Nothing } }, (request, reply) => {
        const { check, alert } = one(request.params);
        check.alerts.splice(check.alerts.indexOf(alert), 1);
        control.save();
        return reply.code(204).send();
    });
}

/** In the real service's words: https://github.com/digitalocean/terraform-provider-digitalocean/issues/1099 */
const invalid = (field: string, why: string) => badRequest(`invalid value for field '${field}': ${why}`);

/** The value, if it is one of those that are documented. */
function oneOf<T extends TSchema>(schema: T, field: string, value: string): Static<T> {
    if (!Check(schema, value)) throw invalid(field, `unsupported ${field} value '${value}'`);
    return value;
}

type View = Static<typeof answers.UptimeCheck>;

/** What a request makes of a check; what it leaves out is `before`'s. */
function checkFrom(
    body: Static<typeof CheckBody>,
    before: Partial<View> & Pick<View, "enabled" | "regions">,
): Omit<View, "id"> {
    const name = body.name ?? before.name ?? "";
    const type = oneOf(CheckType, "type", body.type ?? before.type ?? "");
    const target = body.target ?? before.target ?? "";
    const regions = (body.regions ?? before.regions).map((region) => oneOf(CheckRegion, "regions", region));
    if (name === "") throw invalid("name", "name must not be empty");
    if (!isTarget(type, target)) throw invalid("target", `invalid target '${target}'`);
    return { name, type, target, regions, enabled: body.enabled ?? before.enabled };
}

function isTarget(type: View["type"], target: string): boolean {
    if (type === "ping" && (isIP(target) !== 0 || /^[\w-]+(\.[\w-]+)+$/.test(target))) return true;
    return URL.canParse(target) && ["http:", "https:"].includes(new URL(target).protocol);
}

function alertFrom({ instance }: ControlPlane, body: Static<typeof AlertBody>, id: string): UptimeAlert {
    const type = oneOf(UptimeAlertType, "type", body.type);
    const { name, threshold, comparison = "" } = body;
    const isMeasured = type === "latency" || type === "ssl_expiry";
    if (name === "") throw invalid("name", "name must not be empty");
    if (isMeasured && !threshold) throw invalid("threshold", "threshold must be greater than 0");
    const notifications = receiversFrom(instance, "notifications", body.notifications, invalid);
    return {
        ...{ id, name, type, notifications, period: oneOf(Period, "period", body.period) },
        ...(threshold !== undefined && { threshold }),
        // Clients that know no absence send an empty one, which says as much.
        ...((comparison !== "" || isMeasured) && {
            comparison: oneOf(Comparison, "comparison", comparison),
        }),
    };
}

function checkView({ id, name, type, target, regions, enabled }: UptimeCheck): View {
    return { id, name, type, target, regions, enabled };
}
