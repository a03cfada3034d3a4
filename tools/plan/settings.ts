import type { Change } from "./changes";
import type { Setting } from "./model";
import { dropletType, sizeOf, userDataChange } from "./servers";

/** Inputs of components that the config calls otherwise. */
const keys: Record<string, string> = {
    "LoadBalancer.size": "loadBalancerSize",
    "LoadBalancer.image": "loadBalancerImage",
    "BackendPool.userData": "userdata",
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
    for (const { type, before, after } of changes.filter(({ action }) => action === "update")) {
        const component = /^dropscale:index:(\w+)$/.exec(type)?.[1];
        if (component === undefined) continue;
        for (const input of Object.keys({ ...before?.inputs, ...after?.inputs })) {
            const key = keys[`${component}.${input}`] ?? input;
            const values = [before, after].map((state) => state?.inputs?.[input]);
            const [old = null, next = null] = values.map(show);
            if (component === "Network" && input === "prefix")
                for (const part of prefixParts(values)) settings.set(part.key, part);
            else if (key in config && old !== next) settings.set(key, { key, before: old, after: next });
        }
    }
    const servers = changes.filter(({ type, name }) => type === dropletType && name !== "load-balancer");
    const resized = servers.find(({ reasons }) => reasons.includes("size"));
    if (resized) {
        const [before = null, after = null] = [sizeOf(resized.before), sizeOf(resized.after)];
        settings.set("size", { key: "size", before, after });
    }
    const rewritten = servers.find(({ reasons }) => reasons.includes("userData"));
    if (rewritten) {
        settings.delete("userdata");
        for (const { key, before, after } of userDataChange(rewritten, userDataFile))
            settings.set(key, { key, before, after });
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

function show(value: unknown): string | null {
    if (value === undefined) return null;
    if (typeof value !== "string") return JSON.stringify(value).replaceAll('"', "").replaceAll(",", ", ");
    return value === "" ? "(empty)" : value;
}
