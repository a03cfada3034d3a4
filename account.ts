import * as digitalocean from "@pulumi/digitalocean";
import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "./config";
import { refusal } from "./refusal";
import { tokenAdvice } from "./token-scopes";

/** What the program has to know of the account before it declares anything. */
export interface Account {
    ownVpc: OwnVpc;
    /** Price in USD a month of each size that there is. */
    monthlyPrices: ReadonlyMap<string, number>;
}

/** About the VPC that the stack makes for itself. */
export interface OwnVpc {
    /** It is, or will be (the region has none yet), its region's default, which can't be deleted. */
    isRegionDefault: boolean;
    /** Its id, where it exists as the region's default already: left by an earlier stack of this name, or ours. */
    existingId?: string;
}

/**
 * Looks up sizes and VPCs. Runs in previews as well.
 *
 * @throws RunError when the API refuses, can't be reached, or does not have the region, a size or the VPC.
 */
export async function lookUpAccount(settings: Settings): Promise<Account> {
    try {
        const [monthlyPrices, ownVpc] = await Promise.all([
            prices(settings),
            settings.vpcId ? checkVpc(settings) : findOwnVpc(settings),
        ]);
        return { monthlyPrices, ownVpc };
    } catch (error) {
        if (pulumi.RunError.isInstance(error)) throw error;
        const reason = (error as Error).message.replace(/\s*\n\s*/g, " ");
        const what = [`the account could not be read: ${reason}`, tokenAdvice(reason) ?? []].flat();
        throw refusal(what.join("; "));
    }
}

async function prices(settings: Settings): Promise<Account["monthlyPrices"]> {
    const { sizes } = await digitalocean.getSizes();
    const regions = [...new Set(sizes.flatMap((size) => size.regions))].sort();
    if (!regions.includes(settings.region))
        throw refusal(`'region' should be one of ${regions.join(", ")}, got ${settings.region}`);
    const here = sizes.filter((size) => size.available && size.regions.includes(settings.region));
    const cheapest = here.sort((a, b) => a.priceMonthly - b.priceMonthly).slice(0, 8);
    const errors: string[] = [];
    for (const key of ["size", "loadBalancerSize"] as const) {
        const slug = settings[key];
        if (!sizes.some((size) => size.slug === slug)) {
            errors.push(
                `'${key}' should be a size that there is, got "${slug}"; the cheapest ones in ${settings.region}: ` +
                    cheapest.map((size) => `${size.slug} ($${size.priceMonthly})`).join(", "),
            );
        } else if (!here.some((size) => size.slug === slug)) {
            // Sold out, and refused only for new droplets: those that run must still be able to leave.
            void pulumi.log.warn(`${settings.region} offers no new droplets of '${key}' ${slug} now`);
        }
    }
    if (errors.length > 0) throw refusal(errors.join("\n"));
    return new Map(sizes.map(({ slug, priceMonthly }) => [slug, priceMonthly]));
}

/** That the VPC of the config is there, and in the region: a droplet can be in no other. */
async function checkVpc({ vpcId, region }: Settings): Promise<OwnVpc> {
    const vpc = await digitalocean.getVpc({ id: vpcId }).catch((error: unknown) => {
        if (/\b404\b/.test((error as Error).message))
            throw refusal(`'vpcId' should be the id of a VPC that the account has, got ${vpcId}`);
        throw error;
    });
    if (vpc.region !== region)
        throw refusal(`'vpcId' should be a VPC in region ${region}, got ${vpcId}, which is in ${vpc.region}`);
    return { isRegionDefault: false };
}

async function findOwnVpc(settings: Settings): Promise<OwnVpc> {
    const regionDefault = await digitalocean.getVpc({ region: settings.region }).catch((error: unknown) => {
        // The provider's words for "none": there is no way to ask for a list.
        if (/unable to find default VPC/i.test((error as Error).message)) return undefined;
        throw error;
    });
    if (regionDefault === undefined) return { isRegionDefault: true };
    if (regionDefault.name !== settings.prefix) return { isRegionDefault: false };
    return { isRegionDefault: true, existingId: regionDefault.id };
}

/** What droplets of these sizes cost together in USD a month, to the cent. */
export function monthlyCost(sizes: readonly string[], { monthlyPrices }: Account): number {
    return Math.round(sizes.reduce((sum, slug) => sum + (monthlyPrices.get(slug) ?? 0), 0) * 100) / 100;
}
