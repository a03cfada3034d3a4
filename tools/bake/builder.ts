import { readFileSync } from "node:fs";
import * as path from "node:path";
import { type Builder, builderName, builderTag } from "../../lib/baked-images";
import { anywhere } from "../../lib/ipv4-ranges";
import { renderWithBoothook } from "../../userdata/render";
import { ApiRefusal, askApi, deleteFromApi, listAll, postToApi } from "../live/api";
import { kinds } from "../live/account";
import { rest } from "../cli/terminal";
import type { AccountImage } from "./images";

/** What the builder is made of. */
export interface BuilderSettings {
    region: string;
    size: string;
    image: string;
    /** As it is sent. */
    userData: string;
    /** The account's key to make it with, which the image does not keep. @default none, and DigitalOcean mails a password */
    sshKeyId?: number;
}

/** How often the API is asked how far it is. */
const pollMs = 3000;
/** The API may be out of reach for so long while a bake waits: everything goes on in the account meanwhile. */
const patienceMs = 120_000;
/** How long something else may be under way on a builder that is off. */
const pendingSeconds = 180;
/** How long the builder may take until it can be deleted: a snapshot has to end first. */
const deletionSeconds = 900;
/** How long a droplet may take to be made. */
const creationSeconds = 600;
/** The service: 1 to 3 minutes a gigabyte that is used. https://docs.digitalocean.com/support/how-long-will-my-backup-or-snapshot-take-to-complete/ */
const snapshotSeconds = 3600;

/**
 * User data of the builder: the stack's own, and what makes an image of the disk when that has ended well.
 *
 * @throws Error if the text does not start right, is no YAML, or all of it is over 64 KiB.
 */
export function builderUserData(text: string): string {
    return renderWithBoothook(text, readFileSync(path.join(__dirname, "boothook.sh"), "utf8"));
}

/** The body of POST /v2/firewalls: it lets nothing in, and everything out, where packages are. */
export function builderFirewall(tag: string) {
    return {
        name: tag,
        tags: [tag],
        outbound_rules: ["tcp", "udp", "icmp"].map((protocol) => ({
            protocol,
            ...(protocol !== "icmp" && { ports: "all" }),
            destinations: { addresses: anywhere },
        })),
    };
}

/** Makes it behind its firewall, and waits until it is on. @returns its id */
export async function makeBuilder(
    prefix: string,
    builder: Builder,
    of: BuilderSettings,
    signal: AbortSignal,
): Promise<number> {
    const tag = builderTag(prefix, builder);
    // A firewall takes only tags that exist.
    await postToApi("tags", { name: tag });
    await postToApi("firewalls", builderFirewall(tag));
    const body = {
        name: builderName(builder),
        region: of.region,
        size: of.size,
        image: /^\d+$/.test(of.image) ? Number(of.image) : of.image,
        user_data: of.userData,
        tags: [tag],
        ...(of.sshKeyId !== undefined && { ssh_keys: [of.sshKeyId] }),
    };
    const { droplet } = (await postToApi("droplets", body)) as { droplet: { id: number } };
    if (!(await becomes(droplet.id, "active", creationSeconds, signal)))
        throw new Error(`droplet ${droplet.id} is not active after ${creationSeconds} s`);
    return droplet.id;
}

/**
 * Waits until a builder is on; or until it has powered itself off, which it does when its set-up has ended well, and never
 * else.
 *
 * @returns Whether it was so within so many seconds.
 * @throws Error where it is gone, or `signal` is aborted; and as askApi.
 */
export async function becomes(
    id: number,
    status: "active" | "off",
    seconds: number,
    signal: AbortSignal,
): Promise<boolean> {
    const isSo = async () => {
        const found = (await askApi(`droplets/${id}`)) as { droplet: { status: string } } | undefined;
        if (found === undefined)
            throw new ApiRefusal(404, `droplet ${id} is gone: it could not be made, or somebody deleted it`);
        const { status: now } = found.droplet;
        return now === status || now === "off" ? true : undefined;
    };
    return (await poll(isSo, seconds, signal)) ?? false;
}

interface Action {
    id: number;
    type: string;
}

/** Asks for a snapshot of a builder. @returns `undefined`: something else is under way there. */
async function askForSnapshot(id: number, name: string): Promise<Action | undefined> {
    try {
        const body = { type: "snapshot", name };
        return ((await postToApi(`droplets/${id}/actions`, body)) as { action: Action }).action;
    } catch (error) {
        // Off is said a moment before its last event has ended.
        if (error instanceof ApiRefusal && kinds.droplet.pending.some((status) => status === error.status))
            return undefined;
        throw error;
    }
}

/** Makes a snapshot of its disk; it is off. @throws Error where the service fails or takes over an hour. */
export async function snapshot(id: number, name: string, signal: AbortSignal): Promise<AccountImage> {
    // A try that got no answer may have been heard. Nobody else makes one of a builder.
    const start = async () => {
        const actions = await listAll<Action>(`droplets/${id}/actions`, "actions");
        return actions.find(({ type }) => type === "snapshot") ?? askForSnapshot(id, name);
    };
    const started = await poll(start, pendingSeconds, signal);
    if (!started)
        throw new Error(
            `droplet ${id} has had a pending event for ${pendingSeconds} s: no snapshot can be made of it`,
        );
    const hasEnded = async () => {
        const { action } = (await askApi(`droplets/${id}/actions/${started.id}`)) as {
            action: { status: string };
        };
        return action.status === "in-progress" ? undefined : action.status;
    };
    const ended = await poll(hasEnded, snapshotSeconds, signal);
    const snapshots = await listAll<AccountImage>(`droplets/${id}/snapshots`, "snapshots");
    const made = snapshots.find((one) => one.name === name);
    if (ended === "completed" && made) return made;
    throw new Error(
        `DigitalOcean made no snapshot of droplet ${id}: its action ${started.id} ${ended ?? "takes over an hour"}`,
    );
}

/** A busy or failing API is out of reach, like one that does not answer. */
const isFinal = (error: unknown): boolean =>
    error instanceof ApiRefusal && error.status < 500 && error.status !== 429;

/**
 * @returns What `ask` first returns beside `undefined`, which is all after so many seconds.
 * @throws What the API has refused, or how it failed for longer than a bake is patient, or last of all.
 */
async function poll<T>(
    ask: () => Promise<T | undefined>,
    seconds: number,
    signal: AbortSignal,
): Promise<T | undefined> {
    const deadline = Date.now() + seconds * 1000;
    let answered = Date.now();
    let failure: Error | undefined;
    while (Date.now() < deadline) {
        signal.throwIfAborted();
        try {
            const found = await ask();
            if (found !== undefined) return found;
            [answered, failure] = [Date.now(), undefined];
        } catch (error) {
            if (isFinal(error) || Date.now() - answered > patienceMs) throw error;
            failure = error as Error;
        }
        await rest(pollMs, signal);
    }
    signal.throwIfAborted();
    if (failure !== undefined) throw failure;
    return undefined;
}

/**
 * Deletes the builder, its firewall and its tag, whatever there is of them: also one whose creation was asked for, and
 * never answered.
 */
export async function removeBuilder(prefix: string, builder: Builder): Promise<void> {
    const tag = builderTag(prefix, builder);
    const droplets = await listAll<{ id: number }>(`droplets?tag_name=${tag}`, "droplets");
    for (const { id } of droplets)
        await deleteFromApi(`${kinds.droplet.route}/${id}`, kinds.droplet.pending, deletionSeconds);
    const firewalls = await listAll<{ id: string; name: string }>("firewalls", "firewalls");
    for (const { id } of firewalls.filter(({ name }) => name === tag))
        await deleteFromApi(`firewalls/${id}`, []);
    await deleteFromApi(`tags/${tag}`, []);
}
