import { setTimeout as sleep } from "node:timers/promises";
import { runOverSsh, type SshTarget } from "../../tools/live/ssh.ts";
import { addressOf, awaitGone, type CallApi, type Droplet, readDroplet } from "./api.mts";
import type { Stage } from "./stage.mts";

/** How long a droplet may take until it serves, in seconds. */
const bootSeconds = 300;

/**
 * How long droplets take by themselves, made all at once by the API: from the request until every one answers
 * /healthz to the load balancer, cloud-init and all. They are deleted then.
 *
 * @returns Seconds.
 */
export async function bootAlone(stage: Stage, count: number): Promise<number> {
    const { api, loadBalancer } = stage;
    const names = Array.from({ length: count }, (_, index) => `alone-${index}`);
    // The tag opens their firewall to the load balancer.
    const body = { ...(await stage.likeBackend()), names, tags: ["dropscale-test-backend"] };
    const start = Date.now();
    const { droplets } = (await api("POST", "droplets", body)) as { droplets: Droplet[] };
    const ids = droplets.map(({ id }) => id);
    const active = await Promise.all(ids.map((id) => awaitActive(api, id, 0.5)));
    await awaitHealthy(
        loadBalancer,
        active.map((droplet) => addressOf(droplet, "private")),
    );
    const seconds = (Date.now() - start) / 1000;
    await Promise.all(ids.map((id) => api("DELETE", `droplets/${id}`)));
    await awaitGone(api, ids);
    return seconds;
}

/** Asks the API every so many seconds until the droplet is `active`. */
export async function awaitActive(api: CallApi, id: number, pollSeconds: number): Promise<Droplet> {
    for (;;) {
        await sleep(pollSeconds * 1000);
        const droplet = await readDroplet(api, id);
        if (droplet.status === "active") return droplet;
    }
}

/** Waits until /healthz answers at all these addresses, asked from the load balancer. */
export async function awaitHealthy(
    loadBalancer: SshTarget,
    addresses: readonly string[],
    seconds = bootSeconds,
): Promise<void> {
    const ask = `until curl --silent --fail --max-time 1 --output /dev/null "http://$1/healthz"; do sleep 0.3; done`;
    const all = addresses.map(
        (address) => `timeout ${seconds} sh -c '${ask}' sh ${address} & pids="$pids $!"`,
    );
    await runOverSsh(`${all.join("\n")}\nfor pid in $pids; do wait $pid || exit 1; done`, loadBalancer);
}
