/** What is to be baked: out of the stack's config, what the account has, and the options. */
import * as path from "node:path";
import { bakeableName, readBakedImage } from "../../lib/baked-images";
import { identityOf } from "../../lib/identity";
import { checkCloudConfig } from "../../userdata/cloud-config";
import { backendFiles, readUserData } from "../../userdata/files";
import { plannedRestarts } from "../../userdata/restarts";
import { askApi, listAll } from "../live/api";
import { builderUserData, type BuilderSettings } from "./builder";

/** As of the command line. */
export interface Wish {
    /** @default the config's */
    userdata?: string;
    /** @default the smallest that is offered */
    size?: string;
    /** @default what the config's is, or what the config's was baked on */
    image?: string;
}

/** The stack's, of the config. */
export interface StackValues {
    prefix: string;
    region: string;
    image: string;
    userdata: string;
}

export interface Order extends BuilderSettings {
    /** Name of the user data. */
    name: string;
    /** Its text. */
    text: string;
}

/** As the API names its fields. */
export interface Size {
    slug: string;
    available: boolean;
    regions: string[];
    disk: number;
    memory: number;
    price_monthly: number;
}

interface Image {
    name: string;
    regions: string[];
    min_disk_size: number;
    status: string;
}

/** @throws Error with all that is wrong; or as askApi. */
export async function readOrder(wish: Wish, stack: StackValues): Promise<Order> {
    const name = wish.userdata ?? stack.userdata;
    const { text, problems } = readText(name);
    const [sizes, { base, image }, sshKeyId] = await Promise.all([
        listAll<Size>("sizes", "sizes"),
        readBase(wish.image ?? stack.image, wish.image === undefined),
        findKey(stack.prefix),
    ]);
    const { region } = stack;
    if (!image || !image.regions.includes(region) || image.status !== "available")
        problems.push(`image ${base} is not available in ${region}: name another one with --image`);
    const fits = fittingSizes(sizes, region, image?.min_disk_size ?? 0).map(({ slug }) => slug);
    const size = wish.size ?? fits[0] ?? "";
    if (!fits.includes(size))
        problems.push(
            `size ${size} is not offered in ${region} for ${base}; the smallest are ${fits.slice(0, 5).join(", ")}`,
        );
    if (problems.length > 0) throw new Error(["this can't be baked:", ...problems].join("\n  "));
    return {
        ...{ name, text, region, size, image: base },
        userData: builderUserData(text),
        ...(sshKeyId !== undefined && { sshKeyId }),
    };
}

/** Those that an image fits on, the smallest disk first: a server's may not be smaller than the builder's. */
export function fittingSizes(sizes: readonly Size[], region: string, minDisk: number): Size[] {
    const offered = sizes.filter(
        (one) => one.available && one.regions.includes(region) && one.disk >= minDisk,
    );
    return offered.sort(
        (a, b) => a.disk - b.disk || a.price_monthly - b.price_monthly || a.memory - b.memory,
    );
}

/** The text of a file of the current folder, and why it can't be baked. */
function readText(name: string): { text: string; problems: string[] } {
    const folder = path.resolve("userdata");
    const wrong = (problem: string) => ({ text: "", problems: [problem] });
    const files = backendFiles(folder);
    if (!files.includes(name)) return wrong(`--userdata should be one of ${files.join(", ")}, got ${name}`);
    if (!bakeableName.test(name))
        return wrong(`userdata/${name} should be called by letters, digits, dashes and underscores alone`);
    try {
        const text = readUserData(name, folder);
        const { problems } = checkCloudConfig(text);
        if (problems.length === 0) builderUserData(text);
        // The builder is done when it is off: nothing else may switch it off.
        const restarts = plannedRestarts(text).map(
            (what) =>
                `it plans a restart (${what}): a builder has ended its set-up when it is off, and nothing else may switch it off`,
        );
        return { text, problems: [...problems, ...restarts].map((line) => `userdata/${name}: ${line}`) };
    } catch (error) {
        return wrong(`userdata/${name}: ${(error as Error).message}`);
    }
}

/** @param mayBeBaked Then it is what that one was baked on: images don't pile up. */
async function readBase(
    wanted: string,
    mayBeBaked: boolean,
): Promise<{ base: string; image: Image | undefined }> {
    const found = (await askApi(`images/${wanted}`)) as { image: Image } | undefined;
    const below = mayBeBaked && found && readBakedImage(found.image.name)?.base;
    return below ? readBase(below, false) : { base: wanted, image: found?.image };
}

/** The stack's own key in the account, once there is one. */
async function findKey(prefix: string): Promise<number | undefined> {
    const { deployKeyComment } = identityOf(prefix);
    const keys = await listAll<{ id: number; name: string; public_key: string }>("account/keys", "ssh_keys");
    return keys.find((key) => key.name === prefix && key.public_key.trim().endsWith(` ${deployKeyComment}`))
        ?.id;
}
