import { readFileSync } from "node:fs";
import { ask, titleOf } from "./ask";
import { type Entry, type FileChange, type Forge, forgeOf, type Place } from "./forges";

const perPage = 100;

interface PublishOptions {
    close?: boolean;
    /** The file that a pull request changes. */
    change?: string;
}

/** @param file What is published: its first line is a marker, `<!-- dropscale SUBJECT: STACK -->`. */
export async function publishFile(
    what: "comment" | "issue" | "pull-request",
    file: string,
    { close = false, change }: PublishOptions,
): Promise<void> {
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
        await ask(forge, forge.method, place.item(earlier), { ...body, ...(close && place.closed) });
        return `${what} ${earlier.id}: ${close ? "closed" : "edited"}`;
    }
    if (close) return `no ${what} of ${stack} is open`;
    const titled = what === "issue" ? { title } : {};
    const made = (await ask(forge, "POST", place.create, { ...titled, ...body })) as Entry;
    return `${what} ${made.id}: made`;
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

/**
 * Opens a pull request that changes one file, or renews the one that is open: nobody merges last month's. Its branch is
 * this command's own, and whatever was on it goes.
 *
 * @throws Error where there is no marker, or the forge refuses or does not answer.
 */
export async function openPullRequest(forge: Forge, text: string, change: FileChange): Promise<string> {
    const { subject, stack, title } = titleOf(text);
    const branch = `dropscale-${subject}-${stack}`;
    const place = forge.pullRequest(branch);
    await forge.push(branch, change, title);
    const [open] = (await ask(forge, "GET", place.list)) as Entry[];
    const body = { [place.textField]: text };
    if (open) {
        await ask(forge, forge.method, place.item(open), body);
        return `pull request ${open.id}: renewed`;
    }
    const made = (await ask(forge, "POST", place.create, { title, ...body, ...place.more })) as Entry;
    return `pull request ${made.id}: opened`;
}
