import { readFileSync } from "node:fs";
import { type Entry, type Forge, forgeOf, type Place } from "./forges";

const perPage = 100;
const markerForm = /^<!-- dropscale (\w+): ([\w./-]+) -->$/;

export interface PublishOptions {
    what: "comment" | "issue";
    close?: boolean;
}

export async function publishFile(file: string, { what, close = false }: PublishOptions): Promise<void> {
    if (close && what === "comment") throw new Error("a comment can't be closed");
    console.log(await publish(forgeOf(process.env), what, readFileSync(file, "utf8"), close));
}

/**
 * Puts a text where people read it: over what began with the same marker before, or as something new.
 *
 * @throws Error where there is no marker, or the forge refuses or does not answer.
 */
export async function publish(
    forge: Forge,
    what: "comment" | "issue",
    text: string,
    close: boolean,
): Promise<string> {
    const marker = text.split("\n", 1)[0] ?? "";
    const [, subject = "", stack = ""] = markerForm.exec(marker) ?? [];
    if (stack === "")
        throw new Error(`the text should begin with <!-- dropscale SUBJECT: STACK -->, got ${marker}`);
    const place = forge[what];
    const earlier = await findOwn(forge, place, marker);
    const body = { [place.textField]: text };
    if (earlier) {
        await ask(forge, place.method, place.item(earlier), { ...body, ...(close && place.closed) });
        return `${place.what} ${earlier.id}: ${close ? "closed" : "edited"}`;
    }
    if (close) return `no ${place.what} of ${stack} is open`;
    const title = what === "issue" ? { title: `${subject}: ${stack}` } : {};
    const made = (await ask(forge, "POST", place.create, { ...title, ...body })) as Entry;
    return `${place.what} ${made.id}: made`;
}

/** The first of ours that begins with the marker; the forges add a line feed, or change it. */
async function findOwn(forge: Forge, place: Place, marker: string): Promise<Entry | undefined> {
    for (let page = 1; ; page++) {
        const query = `${place.list}per_page=${perPage}&page=${page}`;
        const entries = (await ask(forge, "GET", query)) as Entry[];
        const found = entries.find((entry) => {
            const text = entry[place.textField];
            return forge.isOwn(entry) && typeof text === "string" && text.trimStart().startsWith(marker);
        });
        if (found || entries.length < perPage) return found;
    }
}

/** @throws Error with the forge's own words if it refuses, or does not answer within 30 s. */
async function ask({ url, headers }: Forge, method: string, path: string, body?: object): Promise<unknown> {
    const answer = await fetch(url + path, {
        method,
        headers: { ...headers, ...(body && { "content-type": "application/json" }) },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(30_000),
    }).catch((error: unknown) => {
        const { message, cause } = error as Error & { cause?: Error };
        throw new Error(`${url} does not answer: ${cause?.message ?? message}`, { cause: error });
    });
    if (!answer.ok) throw new Error(`${method} ${url}${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
}
