import { isSame, storedValue } from "./diff.ts";
import type { Property, Resource } from "./resource.ts";
import {
    insideSecret,
    isEmpty,
    isRecord,
    markSecrets,
    revealAll,
    secret,
    UNKNOWN,
    type Properties,
    type Value,
} from "./values.ts";

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

/** The state after a look at the service, whose lists may come in another order: what is the same stays as it was. */
export function afterRead(resource: Resource, olds: Properties, found: Properties): Properties {
    const changed = Object.entries(found).filter(([name, value]) => {
        const property = resource.inputs[name];
        return !(property && name in olds && isSame(property, olds[name], value));
    });
    return { ...olds, ...Object.fromEntries(changed) };
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
        const [value, property] = [state[name], resource.inputs[name]];
        if (property && value !== undefined && !isSame(property, plainState[name], value))
            inputs[name] = value;
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
        if (value !== undefined) marked[name] = markProperty(property, value);
    }
    return marked;
}

/** Wraps what is secret by the property's own definition, inside an object and as a whole. */
export function markProperty({ secret: isSecret = false, secretKeys = [] }: Property, value: Value): Value {
    const marked = insideSecret(value, (plain) => {
        if (!isRecord(plain)) return plain;
        const parts = Object.entries(plain).map(([key, part]): [string, Value] => [
            key,
            secretKeys.includes(key) ? secret(part) : part,
        ]);
        return Object.fromEntries(parts);
    });
    return isSecret ? secret(marked) : marked;
}
