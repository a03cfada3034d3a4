import path from "node:path";
import { readFileSync } from "node:fs";
import { httpsConfig } from "../certificates.ts";
import { makeWorld, type Outputs, upEndsWell, type World } from "../world.mts";
import { runOverSsh, type SshTarget } from "../../tools/live/ssh.ts";
import { apiOf, type CallApi, type Droplet, listDroplets } from "./api.mts";
import { appPort, installApp } from "./app.mts";
import type { System } from "./measure.mts";

/** This program with three servers, in a sandbox of its own. */
export class Stage implements System {
    readonly system = "dropscale";
    readonly url: string;
    readonly loadBalancer: SshTarget;
    readonly api: CallApi;
    readonly world: World;
    private readonly config: { replicas: number; retired: number[] } = { replicas: 3, retired: [] };
    private generation = 0;

    private constructor(world: World, { url, loadBalancerIp, deployKey, hostKey }: Outputs) {
        this.world = world;
        // By the address: this machine's DNS does not know the site's name.
        this.url = url.replace(/^https:.*/, `https://${loadBalancerIp}`);
        this.loadBalancer = { host: loadBalancerIp, privateKey: deployKey, hostKey };
        this.api = apiOf(world.sandbox);
    }

    /** Brings it up, with a certificate of its own if clients are to come over HTTPS; takes about a minute. `close` of its world ends it. */
    static async open({ https = false } = {}): Promise<Stage> {
        const { domains, tlsCertificate, tlsKey } = httpsConfig();
        const world = await makeWorld("nspawn", { replicas: 3, ...(https && { domains }) });
        try {
            if (https) {
                await world.configureSecret("tlsCertificate", tlsCertificate);
                await world.configureSecret("tlsKey", tlsKey);
            }
            installApp(world.folder);
            await upEndsWell(world);
            return new Stage(world, await world.outputs());
        } catch (error) {
            await world.close();
            throw error;
        }
    }

    /** Changes the config and runs `pulumi up`. */
    async up(changes: Record<string, unknown>, options: string[] = []): Promise<void> {
        await this.world.configure(changes);
        await upEndsWell(this.world, ...options);
    }

    /** So many servers more, or fewer. */
    async scale(by: number): Promise<void> {
        await this.up({ replicas: (this.config.replicas += by) });
    }

    /** Takes these slots out of use for good. */
    async retire(...slots: number[]): Promise<void> {
        this.config.retired.push(...slots);
        await this.up({ retired: this.config.retired });
    }

    /** Brings a folder to every server, or goes back: `npm run push`. */
    async push(what: string): Promise<void> {
        const { code, text } = await this.world.tool("push", [what, "--stack", "test"], { INIT_CWD: "" });
        if (code !== 0) throw new Error(text);
    }

    /** Another word for `generation`: the next `up` replaces every server. */
    nextGeneration(): string {
        return `g${++this.generation}`;
    }

    /** The lowest slots in use first. */
    async servers(): Promise<Outputs["servers"]> {
        return (await this.world.outputs()).servers;
    }

    /** Kills nginx on a backend, in the way of the kernel when there is no memory. It does not come back. */
    async killNginx({ privateIp }: { privateIp: string }): Promise<void> {
        await this.onLoadBalancer(`curl --silent --fail http://${privateIp}:${appPort}/kill-nginx`);
    }

    onLoadBalancer(command: string): Promise<string> {
        return runOverSsh(command, this.loadBalancer);
    }

    /** What a droplet made by hand needs to be like a backend. */
    async likeBackend(): Promise<Record<string, unknown>> {
        const [backend] = (await listDroplets(this.api)).filter(({ name }) => name.startsWith("web-"));
        const { ssh_keys } = (await this.api("GET", "account/keys")) as { ssh_keys: { id: number }[] };
        if (!backend) throw new Error("the stage has no backend");
        const { vpc_uuid, size_slug } = backend satisfies Droplet;
        return {
            region: "fra1",
            image: "debian-12-x64",
            size: size_slug,
            vpc_uuid,
            ssh_keys: ssh_keys.map(({ id }) => id),
            user_data: readFileSync(path.join(this.world.folder, "userdata/nginx.yaml"), "utf8"),
        };
    }
}
