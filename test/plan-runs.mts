import { readFileSync } from "node:fs";
import * as path from "node:path";
import type { Plan } from "../tools/plan/model.ts";
import type { World } from "./world.mts";

/** Every key of the config that tests of plans change, as it is without a change. */
export const asDeployed = Object.fromEntries(
    [
        "replicas",
        "retired",
        "hold",
        "size",
        "generation",
        "appPort",
        "loadBalancerSize",
        "region",
        "backendSources",
    ].map((key) => [key, undefined]),
);

/** How `make plan` ended, what it printed, and the plan. */
export interface Planned {
    code: number;
    text: string;
    plan: Plan;
}

/** What `make plan` says of a change of the config, which stays changed. */
export async function runPlan(
    world: World,
    change: Record<string, unknown>,
    ...args: string[]
): Promise<Planned> {
    await world.configure(change);
    const file = path.join(world.folder, "plan.json");
    const { code, text } = await world.tool("plan", ["test", "--json", file, ...args]);
    return { code, text, plan: JSON.parse(readFileSync(file, "utf8")) as Plan };
}

/** Names of the servers with which this happens. */
export const happening = ({ servers }: Plan, action: string): string[] =>
    servers.list.filter((server) => server.action === action).map(({ name }) => name);
