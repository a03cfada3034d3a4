import * as digitalocean from "@pulumi/digitalocean";
import type { OwnVpc } from "../components/network";
import { refusal } from "../components/refusal";
import { tagsAmong } from "../lib/backend-sources";
import type { ConfigValues, Findings } from "../lib/config-values";
import { metricsTags } from "../lib/metrics";
import { isUsable, type Offer, unavailable, wantedImages } from "./availability";
import { lookAtImage } from "./images";
import { checkDomains, checkZone } from "./names";
import { undefinedIfNone } from "./not-found";
import { tokenAdvice } from "./token-scopes";

/** What the program has to know of the account before it declares anything. */
export interface Account {
    ownVpc: OwnVpc;
    /** Price in USD a month of each size that there is. */
    monthlyPrices: ReadonlyMap<string, number>;
    /** What the servers' image is, where the config has its number. */
    imageIs?: string;
}

/**
 * Looks up what the account has, and what of the config it can't give. Runs in previews as well: six requests at
 * once, one more for each further 200 droplets, and one for each tag of `backendSources` and
 * `metricsSources`; with `domains` also DNS.
 *
 * @throws RunError when the API refuses or can't be reached.
 */
export async function lookUpAccount(settings: ConfigValues): Promise<Account & Findings> {
    try {
        const [{ sizes }, { dropletLimit }, { droplets }, images, ownVpc, ...problems] = await Promise.all([
            digitalocean.getSizes(),
            digitalocean.getAccount(),
            digitalocean.getDroplets(),
            lookUpImages(settings),
            findOwnVpc(settings),
            vpcProblems(settings),
            missingTags(settings),
        ]);
        const found = unavailable(settings, { sizes, dropletLimit, droplets, ...images });
        const [zone, elsewhere] = await Promise.all([
            checkZone(settings, droplets),
            checkDomains(settings, droplets),
        ]);
        const { imageIs, warnings } = lookAtImage(settings, images.images);
        return {
            imageIs,
            ownVpc,
            monthlyPrices: new Map(sizes.map(({ slug, priceMonthly }) => [slug, priceMonthly])),
            problems: [...found.problems, ...problems.flat(), ...zone.problems],
            warnings: [...found.warnings, ...warnings, ...zone.warnings, ...elsewhere],
        };
    } catch (error) {
        const reason = (error as Error).message.trim().replace(/\s*\n\s*/g, " ");
        const advice = tokenAdvice(reason) ?? endpointAdvice(reason, process.env.DIGITALOCEAN_API_URL);
        throw refusal([`the account could not be read: ${reason}`, advice ?? []].flat().join("; "));
    }
}

/** What to do where nothing listens at an address that somebody chose. */
function endpointAdvice(reason: string, endpoint: string | undefined): string | undefined {
    if (!endpoint || !reason.includes("connection refused")) return undefined;
    return `nothing answers at DIGITALOCEAN_API_URL, ${endpoint}: \`make up\` starts the local one; unset it for the real one`;
}

async function lookUpImages(settings: ConfigValues): Promise<Pick<Offer, "images" | "allImages">> {
    const found = await Promise.all(
        wantedImages(settings).map(async (image) => {
            const which = /^\d+$/.test(image) ? { id: Number(image) } : { slug: image };
            return [image, await digitalocean.getImage(which).catch(undefinedIfNone)] as const;
        }),
    );
    const images = new Map(found.flatMap(([key, image]) => (image ? [[key, image] as const] : [])));
    const areUsable = found.every(([, image]) => isUsable(image, settings.region));
    return { images, allImages: areUsable ? [] : (await digitalocean.getImages()).images };
}

/** A firewall takes only tags that exist. */
async function missingTags({ backendSources = [], metricsSources = [] }: ConfigValues): Promise<string[]> {
    const named = [
        ...tagsAmong(backendSources).map((tag) => ({ key: "backendSources", tag })),
        ...metricsTags(metricsSources).map((tag) => ({ key: "metricsSources", tag })),
    ];
    const tags = [...new Set(named.map(({ tag }) => tag))];
    const found = await Promise.all(tags.map((name) => digitalocean.getTag({ name }).catch(undefinedIfNone)));
    return named
        .filter(({ tag }) => found[tags.indexOf(tag)] === undefined)
        .map(
            ({ key, tag }) =>
                `'${key}' should name tags that the account has, got ${tag}; give it to a host first: ` +
                `doctl compute droplet tag HOST --tag-name ${tag}`,
        );
}

async function findOwnVpc({ vpcId, region, prefix }: ConfigValues): Promise<OwnVpc> {
    if (vpcId || region === undefined) return { isRegionDefault: false };
    const regionDefault = await digitalocean.getVpc({ region }).catch((error: unknown) => {
        // The provider's words for "none": there is no way to ask for a list.
        if (/unable to find default VPC/i.test((error as Error).message)) return undefined;
        throw error;
    });
    if (regionDefault === undefined) return { isRegionDefault: true };
    if (regionDefault.name !== prefix) return { isRegionDefault: false };
    return { isRegionDefault: true, existingId: regionDefault.id };
}

/** That the VPC of the config is there, and in the region: a droplet can be in no other. */
async function vpcProblems({ vpcId, region }: ConfigValues): Promise<string[]> {
    if (!vpcId) return [];
    const vpc = await digitalocean.getVpc({ id: vpcId }).catch(undefinedIfNone);
    if (vpc === undefined) return [`'vpcId' should be the id of a VPC that the account has, got ${vpcId}`];
    if (region === undefined || vpc.region === region) return [];
    return [`'vpcId' should be a VPC in region ${region}, got ${vpcId}, which is in ${vpc.region}`];
}

/**
 * What droplets of these sizes cost together in USD a month, to the cent.
 *
 * @param beside What else costs. @default 0
 */
export function monthlyCost(sizes: readonly string[], { monthlyPrices }: Account, beside = 0): number {
    const sum = sizes.reduce((total, slug) => total + (monthlyPrices.get(slug) ?? 0), beside);
    return Math.round(sum * 100) / 100;
}
