/**
 * What `bake` makes in the account, by name: golden images, and the droplet on which one is set up. Whose such a thing
 * is, of what it was made and when stands in its name: whoever looks needs nothing but the account's lists.
 */
import { compactTime, readCompactTime } from "./compact-time";

/** Of what an image was made, and when. */
export interface BakedImage {
    /** `<namePrefix>-<stack>` of the stack that it is for. */
    prefix: string;
    /** Name of a file in userdata/, without its ending. */
    userData: string;
    /** The image under it: a slug, or a number. */
    base: string;
    bakedAt: Date;
    /** Of the file's text: as `userDataHash` gives it. */
    hash: string;
}

/** After so many days its packages are out of date: a month, and time to merge its successor. */
const freshDays = 45;

/** What a file in userdata/ has to be called for its name to be a part of an image's. */
export const bakeableName = /^[\w-]{1,60}$/;

/** `dropscale-prod.baked.nginx.debian-12-x64.20260102T030405Z.5e0c1f77aabb`: no part has a dot. */
export function bakedImageName({ prefix, userData, base, bakedAt, hash }: BakedImage): string {
    return [prefix, "baked", userData, base, compactTime(bakedAt), hash].join(".");
}

/** Reads {@link bakedImageName}; `undefined` for an image that is none of ours. */
export function readBakedImage(name: string): BakedImage | undefined {
    const [prefix = "", word, userData = "", base = "", time = "", hash = "", ...more] = name.split(".");
    const bakedAt = readCompactTime(time);
    const isOurs = word === "baked" && more.length === 0 && /^[0-9a-f]{12}$/.test(hash);
    return isOurs && bakedAt && bakeableName.test(userData)
        ? { prefix, userData, base, bakedAt, hash }
        : undefined;
}

/** Of what it was made, for people; the same on every day. */
export function describeBakedImage({ userData, base, bakedAt, hash }: BakedImage): string {
    return `${userData}, baked ${bakedAt.toISOString().slice(0, 10)} on ${base}, user data sha256 ${hash}`;
}

/**
 * What has changed since an image was baked. Servers made of it are right all the same: each does all of its user data
 * when it boots.
 *
 * @param image The config's value.
 * @param hash Of the user data that servers get now; `undefined` where that is not known.
 * @param nowMs @default the present
 * @returns A sentence each; none for an image that is up to date.
 */
export function outdated(
    image: string,
    baked: BakedImage,
    hash: string | undefined,
    nowMs: number = Date.now(),
): string[] {
    const again = `\`npm run bake -- --userdata ${baked.userData}\` makes a new one`;
    const days = Math.floor((nowMs - baked.bakedAt.getTime()) / 86_400_000);
    const which = `'image' ${image} (${describeBakedImage(baked)})`;
    const warnings: string[] = [];
    if (hash !== undefined && hash !== baked.hash)
        warnings.push(
            `${which} was made of other user data than servers get now (sha256 ${hash}): they do what is new when ` +
                `they boot, which takes longer; ${again}`,
        );
    if (days > freshDays) warnings.push(`${which} is ${days} days old, and so are its packages; ${again}`);
    return warnings;
}

/** A droplet on which an image is set up. */
export interface Builder {
    startedAt: Date;
    /** 8 hexadecimal digits that no other one has. */
    run: string;
}

/** Its tag, which is its firewall's name, too: `dropscale-prod-bake-20260102T030405Z-5e0c1f77`. */
export function builderTag(prefix: string, { startedAt, run }: Builder): string {
    return `${prefix}-bake-${compactTime(startedAt)}-${run}`;
}

/** Its own name: Linux takes a host's name of 64 characters at the most. */
export const builderName = ({ run }: Pick<Builder, "run">): string => `bake-${run}`;

/** Reads {@link builderTag}; `undefined` for what is no builder's of this stack. */
export function readBuilder(prefix: string, name: string): Builder | undefined {
    const start = `${prefix}-bake-`;
    const [, time = "", run = ""] =
        /^(\w+)-([0-9a-f]{8})$/.exec(name.startsWith(start) ? name.slice(start.length) : "") ?? [];
    const startedAt = readCompactTime(time);
    return startedAt && { startedAt, run };
}
