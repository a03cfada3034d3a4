import type { Property, PropertyType, Resource } from "../resource.ts";
import type { Properties } from "../values.ts";
import type { Client } from "./client.ts";
import { explain, repeatOn } from "./poll.ts";

/** A thing that the API makes, shows, changes and removes at once, without an action to wait for. */
export interface Rest<Seen> {
    /** What errors call it. */
    noun: string;
    /** `/v2/tags`: POST makes one; one of them is at `/v2/tags/ID`. */
    path: string;
    /** The answer's key with the thing in it: `tag`. */
    key: string;
    inputs: Record<string, Property>;
    outputs: Record<string, PropertyType>;
    id: (seen: Seen) => string;
    state: (seen: Seen) => Properties;
    /** Body of POST. */
    body: (given: Properties) => object;
    /** Body of PUT; missing: every change replaces. */
    changes?: (given: Properties, olds: Properties) => object;
}

/** The resource for it. */
export function restResource<Seen>(client: Client, rest: Rest<Seen>): Resource {
    const { noun, inputs, outputs, changes } = rest;
    const path = (id: string): string => `${rest.path}/${encodeURIComponent(id)}`;
    const thing = (answer: Record<string, Seen>): Seen => answer[rest.key] as Seen;
    // A new one may not be found for a moment.
    const settled = async (id: string, seconds = 120): Promise<Properties> => {
        const get = (): Promise<Record<string, Seen>> => client.get(path(id));
        return rest.state(
            thing(await explain(`retrieving ${noun}`, () => repeatOn([404], noun, seconds, get))),
        );
    };
    return {
        inputs,
        outputs,
        async create(given, { timeoutSeconds }) {
            const post = (): Promise<Record<string, Seen>> => client.post(rest.path, rest.body(given));
            const id = rest.id(thing(await explain(`creating ${noun}`, post)));
            return { id, outputs: () => settled(id, timeoutSeconds) };
        },
        async read(id) {
            const find = (): Promise<Record<string, Seen> | undefined> => client.find(path(id));
            const found = await explain(`retrieving ${noun}`, find);
            return found && { id, state: rest.state(thing(found)) };
        },
        ...(changes && {
            async update(id, olds, given, { timeoutSeconds }) {
                await explain(`updating ${noun}`, () => client.put(path(id), changes(given, olds)));
                return settled(id, timeoutSeconds);
            },
        }),
        delete: (id) => explain(`deleting ${noun}`, () => client.delete(path(id))),
    } satisfies Resource;
}
