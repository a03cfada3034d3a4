import { type FastifyPluginCallbackTypebox, Type } from "@fastify/type-provider-typebox";
import type { FastifyRequest } from "fastify";
import type { Static } from "typebox";

import { Nothing, One, type Page } from "./answers.ts";
import { found } from "./errors.ts";

/** The server, with types of requests taken from their schemas. */
export type Api = Parameters<FastifyPluginCallbackTypebox>[0];

/** Path parameters of resources that are numbered, and of those that are not. */
export const Params = { Id: Type.Object({ id: Type.Integer() }), Uuid: Type.Object({ id: Type.String() }) };

/** The schema of a DELETE of what has no number. */
export const Deletion = { params: Params.Uuid, response: Nothing };

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

/** What a list answers with: the schema of a page, and the key that the things have in it. */
type PageOf = (typeof Page)[keyof typeof Page];

/** Serves a list in pages; `items` gives all of it. */
export function list(
    api: Api,
    url: string,
    page: PageOf,
    items: (query: ListQuery) => readonly unknown[],
): void {
    listUnder(
        api,
        url,
        page,
        () => undefined,
        (_none, query) => items(query),
    );
}

/** The same for a list that is one thing's: `find` gives the thing for the `:id` in the path, or throws a 404. */
export function listUnder<T>(
    api: Api,
    url: string,
    { key, schema: answer }: PageOf,
    find: (id: string) => T,
    items: (thing: T, query: ListQuery) => readonly unknown[],
): void {
    const params = Type.Object({ id: Type.Optional(Type.String()) });
    api.get(url, { schema: { querystring: ListQuery, params, response: { 200: answer } } }, (request) => {
        const all = items(find(request.params.id ?? ""), request.query);
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
    answers: { one: keyof typeof One; many: PageOf },
    kind: { all: () => readonly T[]; matches: (thing: T, id: string) => boolean; view: (thing: T) => object },
): (id: string) => T {
    const find = (id: string) => found(kind.all().find((thing) => kind.matches(thing, id)));
    list(api, url, answers.many, () => kind.all().map(kind.view));
    const schema = { params: Params.Uuid, response: { 200: One[answers.one] } };
    api.get(`${url}/:id`, { schema }, (request) => ({ [answers.one]: kind.view(find(request.params.id)) }));
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
