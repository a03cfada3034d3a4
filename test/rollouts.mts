import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import type { World } from "./world.mts";

/** What tests of roll-outs do with a stack, and look at. */
export const rolloutsOf = (site: { readonly world: World }) => ({
    rollout: (...args: string[]) => site.world.tool("rollout", ["--stack", "test", ...args]),
    /** The line of the stack's config. */
    hold: () => /hold:.*/.exec(readFileSync(path.join(site.world.folder, "Pulumi.test.yaml"), "utf8"))?.[0],
    /** Id of the droplet of each server in service. */
    droplets: async () => (await site.world.outputs()).servers.map(({ dropletId }) => dropletId),
    /** How many droplets the account has. */
    dropletCount: async () => ((await site.world.api("droplets")).droplets as unknown[]).length,
});

/** Configures user data whose set-up fails on each server. */
export async function breakUserData(world: World): Promise<void> {
    writeFileSync(path.join(world.folder, "userdata/broken.yaml"), "#cloud-config\nruncmd: [exit 1]\n");
    await world.configure({ userdata: "broken", readySeconds: 120 });
}
