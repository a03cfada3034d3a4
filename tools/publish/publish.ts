import { readFileSync } from "node:fs";
import { ask, titleOf } from "./ask";
import { type Entry, type Forge, forgeOf, type Place } from "./forges";
import { openPullRequest } from "./pull-request";

const perPage = 100;

export interface PublishOptions {
    what: "comment" | "issue" | "pull-request";
    close?: boolean;
    /** The file that a pull request changes. */
    change?: string;
}

export async function publishFile(file: string, options: PublishOptions): Promise<void> {
    const { what, close = false, change } = options;
    if (close && what !== "issue") throw new Error(`a ${what} can't be closed`);
    if ((what === "pull-request") !== (change !== undefined))
        throw new Error("a pull request needs --change FILE, and nothing else takes it");
    const [forge, text] = [forgeOf(process.env), readFileSync(file, "utf8")];
    console.log(
        what === "pull-request"
            ? await openPullRequest(forge, text, {
                  path: change ?? "",
                  text: readFileSync(change ?? "", "utf8"),
              })
            : await publish(forge, what, text, close),
    );
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
    const { marker, stack, title } = titleOf(text);
    const place = forge[what];
    const earlier = await findOwn(forge, place, marker);
    const body = { [place.textField]: text };
    if (earlier) {
        await ask(forge, place.method, place.item(earlier), { ...body, ...(close && place.closed) });
        return `${place.what} ${earlier.id}: ${close ? "closed" : "edited"}`;
    }
    if (close) return `no ${place.what} of ${stack} is open`;
    const titled = what === "issue" ? { title } : {};
    const made = (await ask(forge, "POST", place.create, { ...titled, ...body })) as Entry;
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
