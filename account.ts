import * as digitalocean from "@pulumi/digitalocean";
import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "./config";
import { refusal } from "./refusal";

/** What the program has to know of the account before it declares anything. */
export interface Account {
    ownVpc: OwnVpc;
    /** Price in USD a month of `size` and `loadBalancerSize`. */
    monthlyPrice: { backend: number; loadBalancer: number };
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
        const [monthlyPrice, ownVpc] = await Promise.all([
            prices(settings),
            settings.vpcId ? checkVpc(settings) : findOwnVpc(settings),
        ]);
        return { monthlyPrice, ownVpc };
    } catch (error) {
        if (pulumi.RunError.isInstance(error)) throw error;
        const reason = (error as Error).message.replace(/\s*\n\s*/g, " ");
        throw refusal(`the account could not be read: ${reason}`);
    }
}

async function prices(settings: Settings): Promise<Account["monthlyPrice"]> {
    const { sizes } = await digitalocean.getSizes();
    const regions = [...new Set(sizes.flatMap((size) => size.regions))].sort();
    if (!regions.includes(settings.region))
        throw refusal(`'region' should be one of ${regions.join(", ")}, got ${settings.region}`);
    const errors: string[] = [];
    const price = (key: "size" | "loadBalancerSize"): number => {
        const found = sizes.find(({ slug }) => slug === settings[key]);
        if (found) {
            // Sold out, and refused only for new droplets: those that run must still be able to leave.
            if (!found.regions.includes(settings.region))
                void pulumi.log.warn(
                    `${settings.region} offers no new droplets of '${key}' ${found.slug} now`,
                );
            return found.priceMonthly;
        }
        const here = sizes.filter((s) => s.available && s.regions.includes(settings.region));
        const cheapest = here.sort((a, b) => a.priceMonthly - b.priceMonthly).slice(0, 8);
        errors.push(
            `'${key}' should be a size that there is, got "${settings[key]}"; the cheapest ones in ${settings.region}: ` +
                cheapest.map((s) => `${s.slug} ($${s.priceMonthly})`).join(", "),
        );
        return 0;
    };
    const result = { backend: price("size"), loadBalancer: price("loadBalancerSize") };
    if (errors.length > 0) throw refusal(errors.join("\n"));
    return result;
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

/** What the pool costs in USD a month, load balancer included, to the cent. */
export function monthlyCost(settings: Settings, { monthlyPrice }: Account): number {
    return Math.round((settings.replicas * monthlyPrice.backend + monthlyPrice.loadBalancer) * 100) / 100;
}
