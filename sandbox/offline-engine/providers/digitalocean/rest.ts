import type { Bridge, Property, Resource } from "../resource.ts";
import type { Properties } from "../values.ts";
import type { Client } from "./client.ts";
import { explain } from "./poll.ts";

/** A thing that the API makes, shows, changes and removes at once, without an action to wait for. */
export interface Rest<Seen> {
    /** What errors call it. */
    noun: string;
    /** What errors say where that is not "creating NOUN", "retrieving NOUN" and so on. */
    doing?: Partial<Record<"creating" | "retrieving" | "updating" | "deleting", string>>;
    /** To delete what is gone is an error. @default false */
    mustExist?: boolean;
    bridge: Bridge;
    /** `/v2/tags`: POST makes one; one of them is at `/v2/tags/ID`. */
    path: string;
    /** The answer's key with the thing in it: `tag`. */
    key: string;
    inputs: Record<string, Property>;
    outputs: readonly string[];
    id: (seen: Seen) => string;
    state: (seen: Seen) => Properties;
    /** Body of POST. */
    body: (given: Properties) => object;
    /** Body of PUT; missing: every change replaces. */
    changes?: (given: Properties, olds: Properties) => object;
}

/** The resource for it. */
export function restResource<Seen>(client: Client, rest: Rest<Seen>): Resource {
    const { noun, bridge, inputs, outputs, changes } = rest;
    const says = (doing: keyof NonNullable<typeof rest.doing>) => rest.doing?.[doing] ?? `${doing} ${noun}`;
    type Answer = Record<string, Seen>;
    const path = (id: string): string => `${rest.path}/${encodeURIComponent(id)}`;
    const thing = (answer: Answer): Seen => answer[rest.key] as Seen;
    return {
        bridge,
        inputs,
        outputs,
        async create(given) {
            const post = () => client.post<Answer>(rest.path, rest.body(given));
            const made = thing(await explain(says("creating"), post));
            return { id: rest.id(made), outputs: () => Promise.resolve(rest.state(made)) };
        },
        async read(id) {
            const found = await explain(says("retrieving"), () => client.find<Answer>(path(id)));
            return found && rest.state(thing(found));
        },
        ...(changes && {
            async update(id, olds, given) {
                const put = () => client.put<Answer>(path(id), changes(given, olds));
                return rest.state(thing(await explain(says("updating"), put)));
            },
        }),
        delete: (id) =>
            explain(says("deleting"), () => client.delete(path(id), { mustExist: rest.mustExist })),
    } satisfies Resource;
}
