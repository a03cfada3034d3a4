import { isComponent, isServer, types } from "../../lib/identity";
import { isObject } from "../../lib/object-rules";
import type { Change } from "./changes";
import type { Setting } from "./model";
import { sizeOf, userDataChange } from "./servers";

/** Inputs of components that the config calls otherwise. */
const keys: Record<string, string> = {
    [`${types.loadBalancer}.size`]: "loadBalancerSize",
    [`${types.loadBalancer}.image`]: "loadBalancerImage",
    [`${types.loadBalancer}.generation`]: "loadBalancerGeneration",
    [`${types.pool}.userData`]: "userdata",
    // What anybody may know of it.
    [`${types.https}.certificate`]: "tlsCertificate",
};

/**
 * Keys of the config whose value is not the one that was applied last, as the program's components keep it in the state.
 * What a droplet is replaced for comes before that: of user data components have a digest alone, and a server that was
 * held still has the size from before.
 *
 * @param config By key; what else components show is no setting.
 */
export function settingsOf(
    changes: readonly Change[],
    config: Readonly<Record<string, string>>,
    userDataFile: string,
): Setting[] {
    const settings = new Map<string, Setting>();
    const note = (found: readonly Setting[]) => {
        for (const { key, before, after } of found) settings.set(key, { key, before, after });
    };
    // These come and go with their components, in a stack that is there.
    const ofOneKey: string[] = [types.https, types.alerts];
    const isThere = changes.some(({ type, before }) => type === types.pool && before);
    const updated = changes.filter(
        ({ type, action }) =>
            isComponent(type) &&
            (action === "update" || (ofOneKey.includes(type) && action !== "same" && isThere)),
    );
    for (const { type, before, after } of updated) {
        for (const input of Object.keys({ ...before?.inputs, ...after?.inputs })) {
            const key = keys[`${type}.${input}`] ?? input;
            const values = [before, after].map((state) => state?.inputs?.[input]);
            const [old = null, next = null] = values.map(show);
            if (type === types.network && input === "prefix") note(prefixParts(values));
            else if ((key === "autoscale" && type === types.pool) || type === types.alerts)
                note(partsOf(key, values));
            else if (key in config && old !== next) note([{ key, before: old, after: next }]);
        }
    }
    const servers = changes.filter(isServer);
    const resized = servers.find(({ reasons }) => reasons.includes("size"));
    if (resized) {
        const [before = null, after = null] = [sizeOf(resized.before), sizeOf(resized.after)];
        note([{ key: "size", before, after }]);
    }
    const rewritten = servers.find(({ reasons }) => reasons.includes("userData"));
    if (rewritten) {
        settings.delete("userdata");
        note(userDataChange(rewritten, userDataFile));
    }
    return [...settings.values()];
}

/** The component knows both in one, `<namePrefix>-<stack>`; the first has no dash. `stack` is what was renamed. */
function prefixParts(values: readonly unknown[]): Setting[] {
    const [before, after] = values.map((value) =>
        /^([^-]*)-(.*)$/.exec(typeof value === "string" ? value : ""),
    );
    return ["namePrefix", "stack"].flatMap((key, i) => {
        const [old = null, next = null] = [before?.[i + 1], after?.[i + 1]];
        return old === next ? [] : [{ key, before: old, after: next }];
    });
}

/** What differs in it; all of it, where it comes or goes. */
function partsOf(key: string, values: readonly unknown[]): Setting[] {
    const [old, next] = values.map((value) => (isObject(value) ? value : undefined));
    if (!old || !next) return [{ key, before: old ? "on" : null, after: next ? "on" : null }];
    return Object.keys({ ...old, ...next }).flatMap((part) => {
        const [from, to] = [show(old[part]), show(next[part])];
        return from === to ? [] : [{ key: `${key}.${part}`, before: from, after: to }];
    });
}

function show(value: unknown): string | null {
    if (value === undefined) return null;
    if (typeof value !== "string") return JSON.stringify(value).replaceAll('"', "").replaceAll(",", ", ");
    return value === "" ? "(empty)" : value;
}
