import { type FastifyPluginCallbackTypebox, Type } from "@fastify/type-provider-typebox";
import type { FastifyRequest } from "fastify";
import type { Static } from "typebox";

import { found } from "./errors.ts";

/** The server, with types of requests taken from their schemas. */
export type Api = Parameters<FastifyPluginCallbackTypebox>[0];

/** Path parameters of resources that are numbered, and of those that are not. */
export const Params = { Id: Type.Object({ id: Type.Integer() }), Uuid: Type.Object({ id: Type.String() }) };

/** What a list may be asked for; each list honours its own part. */
const ListQuery = Type.Object({
    page: Type.Integer({ minimum: 1, default: 1 }),
    per_page: Type.Integer({ minimum: 1, default: 20 }),
    name: Type.Optional(Type.String()),
    private: Type.Optional(Type.Boolean()),
    resource_type: Type.Optional(Type.String()),
    tag_name: Type.Optional(Type.String()),
    type: Type.Optional(Type.String()),
});
type ListQuery = Static<typeof ListQuery>;

/** https://docs.digitalocean.com/reference/api/reference/#links--pagination */
const maxPerPage = 200;

/**
 * Serves a list in pages under `key`. `items` gives all of it, for the query and for the `:id` in the path
 * ("" if there is none).
 */
export function list(
    api: Api,
    url: string,
    key: string,
    items: (query: ListQuery, id: string) => readonly unknown[],
): void {
    const schema = { querystring: ListQuery, params: Type.Object({ id: Type.Optional(Type.String()) }) };
    api.get(url, { schema }, (request) => {
        const all = items(request.query, request.params.id ?? "");
        const perPage = Math.min(request.query.per_page, maxPerPage);
        const { page } = request.query;
        return {
            [key]: all.slice((page - 1) * perPage, page * perPage),
            links: links(request, page, perPage, Math.max(1, Math.ceil(all.length / perPage))),
            meta: { total: all.length },
        };
    });
}

/**
 * Serves all of a kind as a list, and each by itself. Gives the look-up that this takes, for other routes: it
 * answers 404 for an id that `matches` none.
 */
export function resource<T>(
    api: Api,
    url: string,
    keys: { one: string; many: string },
    kind: { all: () => readonly T[]; matches: (thing: T, id: string) => boolean; view: (thing: T) => object },
): (id: string) => T {
    const find = (id: string) => found(kind.all().find((thing) => kind.matches(thing, id)));
    list(api, url, keys.many, () => kind.all().map(kind.view));
    api.get(`${url}/:id`, { schema: { params: Params.Uuid } }, (request) => ({
        [keys.one]: kind.view(find(request.params.id)),
    }));
    return find;
}

/** Only the pages that make sense: no `first` and `prev` on the first one, no `next` and `last` on the last. */
function links(request: FastifyRequest, page: number, perPage: number, lastPage: number) {
    const to = (target: number) => {
        const url = new URL(request.url, `${request.protocol}://${request.host}`);
        url.searchParams.set("page", String(target));
        url.searchParams.set("per_page", String(perPage));
        return url.href;
    };
    const pages = {
        ...(page > 1 ? { first: to(1), prev: to(page - 1) } : {}),
        ...(page < lastPage ? { next: to(page + 1), last: to(lastPage) } : {}),
    };
    return Object.keys(pages).length > 0 ? { pages } : {};
}

/** Where something that an answer started, or concerns, is to be found. */
export function link(rel: string, kind: "actions" | "droplets", id: number) {
    return { id, rel, href: `https://api.digitalocean.com/v2/${kind}/${id}` };
}
