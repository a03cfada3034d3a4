import type { Bridge, Property, Resource } from "../resource.ts";
import { isEmpty, isRecord, text, type Properties, type Value } from "../values.ts";
import type { Client } from "./client.ts";
import { explain } from "./poll.ts";
import { strings, TAGS } from "./properties.ts";
import type { Rest } from "./rest.ts";

/** Whom an alert tells, as the API has it. */
interface ApiReceivers {
    email: string[] | null;
    slack: { channel: string; url: string }[] | null;
}

interface ApiPolicy {
    uuid: string;
    type: string;
    description: string;
    compare: string;
    value: number;
    window: string;
    entities: string[] | null;
    tags: string[] | null;
    alerts: ApiReceivers;
    enabled: boolean;
}

const oneOf =
    (...known: string[]) =>
    (value: Value): string | undefined =>
        known.includes(text(value)) ? undefined : `expected one of ${known.join(", ")}, got ${text(value)}`;

/** Without those of load balancers and databases, which the sandbox has none of. */
const DROPLET_TYPES = [
    ...["load_1", "load_5", "load_15", "cpu", "memory_utilization_percent", "disk_utilization_percent"],
    ...["disk_read", "disk_write", "public_outbound_bandwidth", "public_inbound_bandwidth"],
    ...["private_outbound_bandwidth", "private_inbound_bandwidth"],
].map((kind) => `v1/insights/droplet/${kind}`);

/** Terraform's names, which Pulumi makes plurals of. */
const receiversBridge: Bridge = { renamed: { emails: "email", slacks: "slack" } };

/** The provider's own check; the URL is not repeated, as it is where the program has not made a secret of it. */
function emptySlack(receivers: Value): string | undefined {
    const slacks = isRecord(receivers) && Array.isArray(receivers.slacks) ? receivers.slacks : [];
    const isEmptyOne = (slack: Value) => isRecord(slack) && (isEmpty(slack.channel) || isEmpty(slack.url));
    return slacks.some(isEmptyOne) ? "expected channel and url of a slack not to be empty" : undefined;
}

function receiversBody(receivers: Value | undefined): ApiReceivers {
    const { emails, slacks } = isRecord(receivers) ? receivers : {};
    const list = Array.isArray(slacks) ? slacks.filter(isRecord) : [];
    return {
        email: isEmpty(emails) ? null : strings(emails),
        slack:
            list.length === 0
                ? null
                : list.map(({ channel, url }) => ({ channel: text(channel), url: text(url) })),
    };
}

const receiversState = ({ email, slack }: ApiReceivers): Properties => ({
    emails: email ?? [],
    slacks: (slack ?? []).map(({ channel, url }) => ({ channel, url })),
});

function policyBody(given: Properties): object {
    const { type, description, compare, value, window, entities, tags, alerts, enabled } = given;
    return {
        ...{ type, description, compare, value, window, enabled: enabled ?? true },
        entities: strings(entities),
        tags: strings(tags),
        alerts: receiversBody(alerts),
    };
}

/**
 * URLs of Slack that differ in case alone differ here; to the official provider they don't.
 * https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/monitoring/resource_monitor_alert.go
 */
export const MONITOR_ALERT: Rest<ApiPolicy> = {
    noun: "Alert Policy",
    doing: {
        retrieving: "reading Alert",
        updating: "updating monitoring alert",
        deleting: "deleting monitor alert",
    },
    mustExist: true,
    bridge: { single: ["alerts"], nested: { alerts: receiversBridge } },
    path: "/v2/monitoring/alerts",
    key: "policy",
    inputs: {
        type: { type: "string", required: true, validate: oneOf(...DROPLET_TYPES) },
        description: { type: "string", required: true },
        compare: { type: "string", required: true, validate: oneOf("GreaterThan", "LessThan") },
        value: {
            type: "number",
            required: true,
            validate: (value) => (Number(value) >= 0 ? undefined : `expected at least 0, got ${text(value)}`),
        },
        window: { type: "string", required: true, validate: oneOf("5m", "10m", "30m", "1h") },
        alerts: { type: "map", required: true, validate: emptySlack },
        enabled: { type: "boolean", absent: true },
        entities: { type: "set", items: "string" },
        tags: TAGS,
    },
    outputs: ["uuid"],
    id: ({ uuid }) => uuid,
    state: ({ uuid, type, description, compare, value, window, entities, tags, alerts, enabled }) => ({
        ...{ uuid, type, description, compare, value, window, enabled },
        entities: isEmpty(entities) ? null : entities,
        tags: tags ?? [],
        alerts: receiversState(alerts),
    }),
    body: policyBody,
    changes: policyBody,
};

interface ApiCheck {
    id: string;
    name: string;
    type: string;
    target: string;
    regions: string[] | null;
    enabled: boolean;
}

function checkBody({ name, target, type, regions, enabled }: Properties): object {
    const list = strings(regions);
    // In Go's words: an empty one is none.
    return {
        ...{ name, target, type: type ?? "https", enabled: enabled ?? true },
        regions: list.length > 0 ? list : null,
    };
}

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/uptime/resource_uptime_check.go */
export const UPTIME_CHECK: Rest<ApiCheck> = {
    noun: "Check",
    doing: {
        retrieving: "retrieving check",
        updating: "updating uptime check",
        deleting: "deleting uptime checks",
    },
    mustExist: true,
    bridge: {},
    path: "/v2/uptime/checks",
    key: "check",
    inputs: {
        name: { type: "string", autoName: true },
        target: { type: "string", required: true },
        type: { type: "string", absent: "https", validate: oneOf("ping", "http", "https") },
        regions: { type: "set", items: "string" },
        enabled: { type: "boolean", absent: true },
    },
    outputs: [],
    id: ({ id }) => id,
    state: ({ name, target, type, regions, enabled }) => ({
        ...{ name, target, type, enabled },
        regions: regions ?? [],
    }),
    body: checkBody,
    changes: checkBody,
};

interface ApiAlert {
    id: string;
    name: string;
    type: string;
    threshold?: number;
    comparison?: string;
    period: string;
    notifications: ApiReceivers;
}

const ALERT_INPUTS: Record<string, Property> = {
    checkId: { type: "string", required: true },
    name: { type: "string", autoName: true },
    type: {
        type: "string",
        required: true,
        validate: oneOf("latency", "down", "down_global", "ssl_expiry"),
    },
    threshold: { type: "integer", absent: 0 },
    comparison: { type: "string", absent: "", validate: oneOf("greater_than", "less_than") },
    period: {
        type: "string",
        absent: "",
        validate: oneOf("2m", "3m", "5m", "10m", "15m", "30m", "1h"),
    },
    notifications: {
        type: "list",
        items: "map",
        required: true,
        validate: (list) => (Array.isArray(list) ? list.map(emptySlack).find(Boolean) : undefined),
    },
};

const alertsOf = (checkId: Value | undefined): string =>
    `/v2/uptime/checks/${encodeURIComponent(text(checkId))}/alerts`;

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/uptime/resource_uptime_alert.go */
export function uptimeAlert(client: Client): Resource {
    type Answer = { alert: ApiAlert };
    return {
        bridge: { nested: { notifications: receiversBridge } },
        inputs: ALERT_INPUTS,
        outputs: [],
        async create(given) {
            const post = () => client.post<Answer>(alertsOf(given.checkId), alertBody(given));
            const { alert } = await explain("creating Uptime Alert", post);
            return { id: alert.id, outputs: () => Promise.resolve(alertState(alert, given.checkId)) };
        },
        async read(id, { checkId }) {
            if (isEmpty(checkId))
                throw new Error("an uptime alert can't be imported with the offline engine");
            const get = () => client.find<Answer>(`${alertsOf(checkId)}/${id}`);
            const found = await explain("retrieving check", get);
            return found && alertState(found.alert, checkId);
        },
        async update(id, _olds, given) {
            const put = () => client.put<Answer>(`${alertsOf(given.checkId)}/${id}`, alertBody(given));
            return alertState((await explain("updating Alert", put)).alert, given.checkId);
        },
        delete: (id, { checkId }) =>
            explain("deleting uptime alerts", () =>
                client.delete(`${alertsOf(checkId)}/${id}`, { mustExist: true }),
            ),
    };
}

function alertBody({ name, type, threshold, comparison, period, notifications }: Properties): object {
    return {
        ...{ name, type, threshold: threshold ?? 0, comparison: comparison ?? "", period: period ?? "" },
        notifications: receiversBody(Array.isArray(notifications) ? notifications[0] : undefined),
    };
}

function alertState(seen: ApiAlert, checkId: Value | undefined): Properties {
    const { name, type, threshold = 0, comparison = "", period, notifications } = seen;
    return {
        ...{ checkId: text(checkId), name, type, threshold, comparison, period },
        notifications: [receiversState(notifications)],
    };
}
