import { afterAll, beforeAll, expect } from "vitest";
import { type DeployableWorld, makeDeployableWorld } from "./loopback-ssh.mts";
import { up, upEndsWell } from "./world.mts";

interface Droplet {
    id: number;
    name: string;
    networks: { v4: { ip_address: string; type: string }[] };
}

/** Tries of `pulumi up` that fail on a stack without machines, and what they leave in the account. */
export class FailedTries {
    /** `name id` of what serves, whatever has failed. */
    serving: string[] = [];

    constructor(readonly world: DeployableWorld) {}

    /** Deploys the stack: from here on an HAProxy answers on its load balancer. */
    async deploy(): Promise<void> {
        await upEndsWell(this.world);
        const balancer = (await this.listed()).find(({ name }) => name.startsWith("load-balancer"));
        this.world.ssh.host = (balancer?.networks.v4 ?? []).map(({ ip_address }) => ip_address);
        this.serving = await this.droplets();
    }

    /** A plain `pulumi up` of this change, where no new server answers. */
    async fail(change: Record<string, unknown>): Promise<void> {
        await this.world.configure(change);
        this.world.ssh.exitCode = 1;
        const { code, text } = await up(this.world);
        this.world.ssh.exitCode = 0;
        expect(code, text).not.toBe(0);
    }

    /** `name id` of each droplet of the account, sorted. */
    async droplets(): Promise<string[]> {
        return (await this.listed())
            .map(({ name, id }) => `${name.replace(/-[0-9a-f]{7}$/, "")} ${id}`)
            .sort();
    }

    /** Those of them whose names begin so, and that don't serve. */
    async notServing(name: string): Promise<string[]> {
        const all = await this.droplets();
        return all.filter((droplet) => droplet.startsWith(name) && !this.serving.includes(droplet));
    }

    private async listed(): Promise<Droplet[]> {
        return (await this.world.api("droplets?per_page=200")).droplets as Droplet[];
    }
}

/**
 * For the suite in which it is called: two servers are deployed before the first test, in an account that has room for eight
 * droplets, and gone after the last.
 *
 * @returns The tries, from the first test on.
 */
export function failedTries(): () => FailedTries {
    let made: DeployableWorld | undefined;
    let tries: FailedTries | undefined;
    beforeAll(async () => {
        made = await makeDeployableWorld({ replicas: 2 }, { dropletLimit: 8 });
        tries = new FailedTries(made);
        await tries.deploy();
    });
    afterAll(async () => {
        await made?.close();
    });
    return () => {
        if (!tries) throw new Error("the stack is deployed before the first test");
        return tries;
    };
}

/** The line of a droplet (`name id`) in the table of `make status`; "" without one. */
export function rowOf(text: string, droplet: string): string {
    const [name = "", id = ""] = droplet.split(" ");
    return text.split("\n").find((line) => line.includes(` ${name} `) && line.includes(` ${id} `)) ?? "";
}
