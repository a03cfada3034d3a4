/** A property value as it travels between engine and provider: JSON, with secrets and unknowns in disguise. */
export type Value = null | boolean | number | string | Value[] | { [key: string]: Value };
export type Properties = Record<string, Value>;

// The marks that the engine puts on values which JSON can't express.
// https://github.com/pulumi/pulumi/blob/v3.248.0/sdk/go/common/resource/sig/sig.go
// https://github.com/pulumi/pulumi/blob/v3.248.0/sdk/go/common/resource/plugin/rpc.go
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
/** Stands for a value that a preview can't know yet. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export function isRecord(value: Value | undefined): value is Record<string, Value> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isSecret(value: Value): value is { value: Value } {
    return isRecord(value) && value[SIGNATURE] === SECRET;
}

export function secret(value: Value): Value {
    return isSecret(value) ? value : { [SIGNATURE]: SECRET, value };
}

/** Applies `change` to a value or, if it is a secret, to what is inside. */
export function insideSecret(value: Value, change: (plain: Value) => Value): Value {
    return isSecret(value) ? secret(insideSecret(value.value, change)) : change(value);
}

/** The value with every secret in it laid open. */
export function reveal(value: Value): Value {
    if (isSecret(value)) return reveal(value.value);
    if (Array.isArray(value)) return value.map(reveal);
    return isRecord(value) ? revealAll(value) : value;
}

export function revealAll(properties: Properties): Properties {
    return Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, reveal(value)]));
}

function contains(value: Value | undefined, test: (value: Value) => boolean): boolean {
    if (value === undefined) return false;
    if (test(value)) return true;
    return (
        typeof value === "object" &&
        value !== null &&
        Object.values(value).some((item) => contains(item, test))
    );
}

export function containsSecret(value: Value | undefined): boolean {
    return contains(value, isSecret);
}

export function containsUnknown(value: Value | undefined): boolean {
    return contains(value, (item) => item === UNKNOWN);
}

/**
 * Makes secret in `outputs` what is secret in the inputs they came from, key by key: the engine's own rule for
 * providers that know nothing of secrets.
 * https://github.com/pulumi/pulumi/blob/v3.248.0/sdk/go/common/resource/plugin/provider_plugin.go (annotateSecrets)
 */
export function markSecrets(outputs: Properties, inputs: Properties): Properties {
    const marked = { ...outputs };
    for (const [key, input] of Object.entries(inputs)) {
        const output = marked[key];
        // The very same is marked already.
        if (output === undefined || output === input || !containsSecret(input)) continue;
        const nested = isRecord(output) && isRecord(input) && !isSecret(input) && !isSecret(output);
        marked[key] = nested ? markSecrets(output, input) : secret(output);
    }
    return marked;
}

/** Absent, null, "" and [] are one and the same to the DigitalOcean provider, as in Terraform's SDK. */
export function isEmpty(value: Value | undefined): value is undefined | null {
    return (
        value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0)
    );
}

/** A value as text; nothing is "". */
export function text(value: Value | undefined): string {
    if (value === undefined || value === null) return "";
    return typeof value === "object" ? JSON.stringify(value) : String(value);
}
