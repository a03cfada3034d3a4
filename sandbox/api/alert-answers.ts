import { Type } from "@fastify/type-provider-typebox";

import { closed, Flag, Tags, Text, Texts, Time, Uuid, Whole } from "./answer-parts.ts";

const prefix = "v1/insights/droplet";
/** What an alert policy of droplets may be about; the sandbox has no load balancers and databases of DigitalOcean's. */
export const PolicyType = Type.Enum([
    ...([`${prefix}/load_1`, `${prefix}/load_5`, `${prefix}/load_15`, `${prefix}/cpu`] as const),
    ...([`${prefix}/memory_utilization_percent`, `${prefix}/disk_utilization_percent`] as const),
    ...([`${prefix}/disk_read`, `${prefix}/disk_write`] as const),
    ...([`${prefix}/public_outbound_bandwidth`, `${prefix}/public_inbound_bandwidth`] as const),
    ...([`${prefix}/private_outbound_bandwidth`, `${prefix}/private_inbound_bandwidth`] as const),
]);
export const Compare = Type.Enum(["GreaterThan", "LessThan"]);
export const Window = Type.Enum(["5m", "10m", "30m", "1h"]);

/** Whom an alert tells. */
export const Receivers = closed({ email: Texts, slack: Type.Array(closed({ channel: Text, url: Text })) });

export const AlertPolicy = closed({
    uuid: Uuid,
    type: PolicyType,
    description: Text,
    compare: Compare,
    value: Type.Number(),
    window: Window,
    entities: Texts,
    tags: Tags,
    alerts: Receivers,
    enabled: Flag,
});

export const CheckType = Type.Enum(["ping", "http", "https"]);
export const CheckRegion = Type.Enum(["us_east", "us_west", "eu_west", "se_asia"]);
export const UptimeCheck = closed({
    id: Uuid,
    name: Text,
    type: CheckType,
    target: Text,
    regions: Type.Array(CheckRegion),
    enabled: Flag,
});

const RegionState = closed({
    status: Type.Enum(["DOWN", "UP", "CHECKING"]),
    status_changed_at: Time,
    thirty_day_uptime_percentage: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
});
export const UptimeState = closed({
    regions: Type.Partial(Type.Record(CheckRegion, RegionState)),
    previous_outage: Type.Optional(
        closed({ region: CheckRegion, started_at: Time, ended_at: Time, duration_seconds: Whole }),
    ),
});

export const UptimeAlertType = Type.Enum(["latency", "down", "down_global", "ssl_expiry"]);
export const Comparison = Type.Enum(["greater_than", "less_than"]);
export const Period = Type.Enum(["2m", "3m", "5m", "10m", "15m", "30m", "1h"]);
export const UptimeAlert = closed({
    id: Uuid,
    name: Text,
    type: UptimeAlertType,
    threshold: Type.Optional(Whole),
    comparison: Type.Optional(Comparison),
    notifications: Receivers,
    period: Period,
});
