import { isDeepStrictEqual } from "node:util";

import { storedValue } from "./diff.ts";
import type { Resource } from "./resource.ts";
import { isEmpty, markSecrets, revealAll, secret, UNKNOWN, type Properties } from "./values.ts";

/** The inputs as the state holds them, in plain. */
export function storedInputs(resource: Resource, inputs: Properties): Properties {
    const stored: Properties = {};
    for (const [name, property] of Object.entries(resource.inputs)) {
        const value = storedValue(property, inputs[name]);
        if (value !== undefined) stored[name] = value;
    }
    return stored;
}

/** What a preview of a creation knows: the inputs; all that the service decides is unknown. */
export function previewCreate(resource: Resource, inputs: Properties): Properties {
    const chosenByService = Object.entries(resource.inputs).filter(([, { computed }]) => computed);
    const unknown = [...resource.outputs, ...chosenByService.map(([name]) => name)];
    return {
        ...Object.fromEntries(unknown.map((name) => [name, UNKNOWN])),
        ...storedInputs(resource, inputs),
        ...(resource.previewMeta && { __meta: JSON.stringify(resource.previewMeta(revealAll(inputs))) }),
    };
}

/** The state after an update as far as the inputs decide it; the rest stays as it was. */
export function afterUpdate(resource: Resource, olds: Properties, news: Properties): Properties {
    const dropped = Object.entries(resource.inputs).filter(
        ([name, { computed }]) => !computed && !(name in news),
    );
    const kept = { ...olds };
    for (const [name] of dropped) Reflect.deleteProperty(kept, name);
    return { ...kept, ...storedInputs(resource, news) };
}

/** What a preview of an update knows. */
export function previewUpdate(resource: Resource, olds: Properties, news: Properties): Properties {
    const unknown = resource.unknownAfterUpdate ?? [];
    return {
        ...afterUpdate(resource, olds, news),
        ...Object.fromEntries(unknown.map((name) => [name, UNKNOWN])),
    };
}

/**
 * The inputs that would have made what was read, so that the next preview shows what changed behind Pulumi's back.
 * An input that the state shows unchanged keeps its own form (user data, not its hash).
 */
export function inputsAfterRead(
    resource: Resource,
    oldInputs: Properties,
    oldState: Properties,
    state: Properties,
): Properties {
    if (Object.keys(oldInputs).length === 0) return importedInputs(resource, state);
    const inputs = { ...oldInputs };
    const plainState = revealAll(oldState);
    for (const name of Object.keys(oldInputs)) {
        const value = state[name];
        if (value !== undefined && !isDeepStrictEqual(value, plainState[name])) inputs[name] = value;
    }
    return inputs;
}

function importedInputs(resource: Resource, state: Properties): Properties {
    const inputs: Properties = { __defaults: [] };
    for (const [name, property] of Object.entries(resource.inputs)) {
        const value = state[name];
        if (!isEmpty(value) && value !== property.default) inputs[name] = value;
    }
    return inputs;
}

/** Wraps what is secret in `sources`, or by the resource's own definition. */
export function withSecrets(resource: Resource, outputs: Properties, ...sources: Properties[]): Properties {
    const marked = sources.reduce(markSecrets, outputs);
    for (const [name, property] of Object.entries(resource.inputs)) {
        const value = marked[name];
        if (property.secret && value !== undefined) marked[name] = secret(value);
    }
    return marked;
}
