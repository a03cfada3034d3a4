import type { Bridge, Resource } from "./resource.ts";
import { insideSecret, isRecord, reveal, type Properties, type Value } from "./values.ts";

/** Of Terraform's SDK: the key of a resource's timeouts in its metadata. */
const TIMEOUTS_KEY = "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0";

/**
 * The state with what the bridge from Terraform adds to it, so that the official plugin can go on from there: the id,
 * timeouts, and how Terraform's own state differs from this one. The official plugin refuses a state that its delta
 * does not fit ("Data integrity error"), so it is written anew with every state.
 * https://github.com/pulumi/pulumi-terraform-bridge/blob/v3.130.0/pkg/tfbridge/rawstate.go
 *
 * @param createSeconds Of this resource's own, instead of the type's.
 */
export function withBridgeKeys(
    { bridge, inputs }: Resource,
    id: string,
    state: Properties,
    createSeconds?: number,
): Properties {
    if (!bridge) return state;
    const { __meta: kept, ...unsorted } = state;
    const rest = Object.fromEntries(
        Object.entries(unsorted).map(([name, value]) => [
            name,
            inputs[name]?.type === "set" ? insideSecret(value, sortedSet) : value,
        ]),
    );
    const meta = kept ?? metaOf(bridge, createSeconds);
    return {
        ...rest,
        id,
        ...(meta !== undefined && { __meta: meta }),
        __pulumi_raw_state_delta: rawStateDelta(rest, bridge),
    };
}

/**
 * In Terraform's order: an official plugin's diff of a set names elements by their place in it, and the engine shows what
 * stands there. https://github.com/zclconf/go-cty/blob/main/cty/set_internals.go
 */
function sortedSet(set: Value): Value {
    if (isRecord(set)) {
        const parts = Object.entries(set).sort(([a], [b]) => (a < b ? -1 : 1));
        return Object.fromEntries(parts.map(([key, part]) => [key, sortedSet(part)]));
    }
    if (!Array.isArray(set)) return set;
    const texts = set.map((item) => JSON.stringify(sortedSet(item))).sort((a, b) => (a < b ? -1 : 1));
    return texts.map((text) => JSON.parse(text) as Value);
}

function metaOf({ timeouts, schemaVersion }: Bridge, createSeconds: number | undefined): string | undefined {
    if (!timeouts) return undefined;
    const seconds = { ...timeouts, ...(createSeconds !== undefined && { create: createSeconds }) };
    const nanoseconds = Object.entries(seconds).map(([operation, value]) => [operation, value * 1e9]);
    return JSON.stringify({
        [TIMEOUTS_KEY]: Object.fromEntries(nanoseconds) as Record<string, number>,
        ...(schemaVersion !== undefined && { schema_version: schemaVersion }),
    });
}

function rawStateDelta(state: Properties, { renamed, single = [], nested = {} }: Bridge): Value {
    const parts = Object.entries(state).filter(([name]) => !name.startsWith("__"));
    const deltas = parts.flatMap(([name, value]): [string, Value][] => {
        const inside = deltaOf(reveal(value), nested[name]);
        const delta = single.includes(name) ? { plu: { i: inside ?? {} } } : inside;
        return delta ? [[name, delta]] : [];
    });
    return {
        obj: {
            ...(deltas.length > 0 && { ps: Object.fromEntries(deltas) }),
            ...(renamed && { renamed }),
        },
    };
}

/** Of lists, and of objects in them; everything else stands in Terraform's state as it is here. */
function deltaOf(value: Value, bridge: Bridge = {}): Value | undefined {
    if (isRecord(value)) return rawStateDelta(value, bridge);
    if (!Array.isArray(value)) return undefined;
    const elements = value.flatMap((element, index): [string, Value][] => {
        const delta = deltaOf(element, bridge);
        return delta === undefined ? [] : [[String(index), delta]];
    });
    return { arr: { ...(elements.length > 0 && { el: Object.fromEntries(elements) }) } };
}
