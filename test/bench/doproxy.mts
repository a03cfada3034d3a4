import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { keygenScript, splitKeyPair } from "../../components/deploy-key.ts";
import { quote } from "../../sandbox/host.ts";
import type { Progress } from "../../sandbox/progress.ts";
import { runOverSsh, type SshTarget } from "../../tools/live/ssh.ts";
import { renderUserData } from "../../userdata/render.ts";
import { addressOf, awaitGone, type Droplet, readDroplet } from "./api.mts";
import { awaitActive, awaitHealthy } from "./boots.mts";
import type { System } from "./measure.mts";
import { rowOf, type Measured } from "./scenarios.mts";
import type { Stage } from "./stage.mts";

/** How often it asks whether a droplet is active, in seconds. */
const pollSeconds = 15;

/**
 * DOProxy's algorithm as its article describes it, on the same cloud and with the same backends: one server at a
 * time, in the pool as soon as the API says `active`; out of it by a reload, and destroyed at once. Its steps alone,
 * written anew. https://www.digitalocean.com/community/tutorials/how-to-automate-the-scaling-of-your-web-application-on-digitalocean
 */
export class DoProxy implements System {
    readonly system = "DOProxy";
    readonly url: string;
    readonly loadBalancer: SshTarget;
    /** Ids of its droplets, as in its inventory file. */
    private readonly inventory: number[] = [];
    private readonly stage: Stage;
    private readonly template: Record<string, unknown>;
    private readonly ownId: number;

    private constructor(
        stage: Stage,
        template: Record<string, unknown>,
        own: Droplet,
        loadBalancer: SshTarget,
    ) {
        this.stage = stage;
        this.template = template;
        this.ownId = own.id;
        this.loadBalancer = loadBalancer;
        this.url = `http://${loadBalancer.host}`;
    }

    /** Its load balancer, and three servers that answer. */
    static async open(stage: Stage): Promise<DoProxy> {
        const { api } = stage;
        const template = await stage.likeBackend();
        const hostKeys = splitKeyPair(
            execFileSync("sh", ["-c", keygenScript("doproxy")], { encoding: "utf8" }),
        );
        const userData = readFileSync(path.join(stage.world.folder, "userdata/haproxy.yaml"), "utf8");
        const ssh_keys = { ed25519_private: hostKeys.privateKey, ed25519_public: hostKeys.publicKey };
        const make = async (names: string[], user_data: unknown) => {
            const { droplets } = (await api("POST", "droplets", { ...template, names, user_data })) as {
                droplets: Droplet[];
            };
            return Promise.all(droplets.map(({ id }) => awaitActive(api, id, 0.5)));
        };
        const [[own], backends] = await Promise.all([
            make(["doproxy"], renderUserData(userData, { ssh_keys })),
            make(["doproxy-0", "doproxy-1", "doproxy-2"], template.user_data),
        ]);
        if (!own) throw new Error("DOProxy has no droplet");
        const loadBalancer = {
            host: addressOf(own, "public"),
            privateKey: stage.loadBalancer.privateKey,
            hostKey: hostKeys.publicKey,
        };
        const doProxy = new DoProxy(stage, template, own, loadBalancer);
        await doProxy.awaitSetUp();
        for (const { id } of backends) doProxy.inventory.push(id);
        await doProxy.reload();
        await doProxy.awaitAll();
        return doProxy;
    }

    /** Adds a server. */
    async create(): Promise<void> {
        const { api } = this.stage;
        const body = { ...this.template, names: [`doproxy-${this.inventory.length}`] };
        const { droplets } = (await api("POST", "droplets", body)) as { droplets: [Droplet] };
        await awaitActive(api, droplets[0].id, pollSeconds);
        this.inventory.push(droplets[0].id);
        await this.reload();
    }

    /** @param line Of the inventory, from 0. */
    async delete(line: number): Promise<void> {
        const [id] = this.inventory.splice(line, 1);
        await this.reload();
        await this.stage.api("DELETE", `droplets/${id ?? ""}`);
    }

    /** Waits, as DOProxy itself never does, until every server answers. */
    async awaitAll(): Promise<void> {
        await awaitHealthy(this.loadBalancer, await this.addresses());
    }

    async close(): Promise<void> {
        const ids = [this.ownId, ...this.inventory];
        await Promise.all(ids.map((id) => this.stage.api("DELETE", `droplets/${id}`)));
        await awaitGone(this.stage.api, ids);
    }

    private async reload(): Promise<void> {
        const text = haproxyConfig(await this.addresses());
        const write = `printf %s ${quote(text)} >/etc/haproxy/haproxy.cfg`;
        await runOverSsh(`${write}; systemctl reload haproxy`, this.loadBalancer);
    }

    private async addresses(): Promise<string[]> {
        const droplets = await Promise.all(this.inventory.map((id) => readDroplet(this.stage.api, id)));
        return droplets.map((droplet) => addressOf(droplet, "private"));
    }

    private async awaitSetUp(): Promise<void> {
        for (let tries = 0; ; tries++) {
            try {
                await runOverSsh("cloud-init status --wait", this.loadBalancer);
                return;
            } catch (error) {
                if (tries === 60) throw error;
                await sleep(1000);
            }
        }
    }
}

/** The rows of DOProxy that have one of ours beside them. */
export async function benchDoProxy(stage: Stage, say: Progress, { rows }: Measured): Promise<void> {
    const doProxy = await say.step("DOProxy with three servers", () => DoProxy.open(stage));
    const times = async (count: number, work: () => Promise<void>) => {
        for (let done = 0; done < count; done++) await work();
    };
    try {
        const grow = async (count: number) => {
            await times(count, () => doProxy.create());
        };
        const scale = rowOf("scale", doProxy, say, rows);
        await scale("+1", () => grow(1));
        await scale("-1", () => doProxy.delete(3));
        const replace = async () => {
            await grow(3);
            await times(3, () => doProxy.delete(0));
        };
        await rowOf("replace", doProxy, say, rows)("all three replaced", replace);
        await rowOf("scale-8", doProxy, say, rows)("+8", () => grow(8));
        await doProxy.awaitAll();
    } finally {
        await doProxy.close();
    }
}

/** haproxy.cfg from a template: HAProxy's defaults on Debian, and a pool. */
function haproxyConfig(addresses: readonly string[]): string {
    const servers = addresses.map((address, index) => `    server web-${index} ${address}:80 check\n`);
    return `\
global
    log /dev/log local0
    chroot /var/lib/haproxy
    stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
    user haproxy
    group haproxy
    daemon

defaults
    log global
    mode http
    option httplog
    option dontlognull
    option forwardfor
    timeout connect 5s
    timeout client 50s
    timeout server 50s

frontend www
    bind :80
    default_backend pool

backend pool
    balance roundrobin
${servers.join("")}`;
}
