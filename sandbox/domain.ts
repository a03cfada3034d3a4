import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { firstLine } from "./host.ts";
import type { Instance } from "./instance.ts";
import type { DomainRecord } from "./model.ts";
import type { RunningSandbox } from "./process.ts";
import type { Progress } from "./progress.ts";
import { buildAuthority, rootsFile } from "./region/authority.ts";
import { fullName } from "./zones.ts";

/** How long the authority may take to start, in seconds; it is built by then. */
const authoritySeconds = 30;

/**
 * Makes a domain in a sandbox's account unless it is there.
 *
 * @param ready Resolves when certificates can be had: {@link authorityOf}.
 * @returns What a person can do with it, for the terminal: how to reach its names from this machine.
 * @throws Error if the API refuses the name.
 */
export async function openDomain(
    where: Pick<Instance, "stateDir" | "addresses">,
    { url, token }: Pick<RunningSandbox, "url" | "token">,
    name: string,
    ready: () => Promise<void>,
): Promise<string> {
    const call = async (method: string, path: string, body?: object): Promise<Response> =>
        fetch(`${url}/v2/${path}`, {
            method,
            headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
            ...(body && { body: JSON.stringify(body) }),
        });
    const path = `domains/${encodeURIComponent(name)}`;
    if (name === "" || !(await call("GET", path)).ok) {
        const made = await call("POST", "domains", { name });
        if (!made.ok) throw new Error(((await made.json()) as { message: string }).message);
    }
    await ready();
    const answer = await call("GET", `${path}/records?type=A&per_page=200`);
    const { domain_records: records } = (await answer.json()) as { domain_records: DomainRecord[] };
    const hosts = records
        .filter((record) => !record.name.includes("*"))
        .map((record) => [fullName({ name }, record.name), record.data] as const);
    return guide(where, name, hosts);
}

/**
 * Waits for the certificate authority that the first domain of a sandbox has started.
 *
 * @throws Error of one line: no Go to build it, or what to read when it did not start.
 */
export async function authorityOf(where: Instance, say: Progress): Promise<void> {
    await say.step("certificate authority", async () => {
        await buildAuthority(say.log).catch((error: unknown) => {
            throw new Error(`the domain is there, but no certificates: ${firstLine(error)}`, {
                cause: error,
            });
        });
        const deadline = Date.now() + authoritySeconds * 1000;
        while (!existsSync(rootsFile(where))) {
            if (Date.now() > deadline) throw new Error(`it did not start: ${where.stateDir}/sandbox.log`);
            await sleep(100);
        }
    });
}

/**
 * How to reach the names of a domain from the host, whose own DNS stays as it is.
 *
 * @param hosts Each name that has an address, and the address.
 */
export function guide(
    where: Pick<Instance, "stateDir" | "addresses">,
    domain: string,
    hosts: readonly (readonly [name: string, address: string])[],
): string {
    const roots = rootsFile(where);
    const curl = hosts.map(
        ([name, address]) =>
            `  curl --cacert ${roots} --resolve ${name}:443:${address} --resolve ${name}:80:${address} https://${name}`,
    );
    const map = hosts.map(([name, address]) => `MAP ${name} ${address}`).join(", ");
    const browser = [
        `  chromium --user-data-dir=/tmp/sandbox-browser --host-resolver-rules="${map}" https://${hosts[0]?.[0]}`,
        `  (and under Settings > Certificates, trust ${roots} for websites)`,
    ];
    const dns = `  dig @${where.addresses.uplinkRouter} ${hosts[0]?.[0] ?? domain}`;
    return `
${domain} is in the local DigitalOcean, as if its registrar named DigitalOcean's servers.
Certificates come from ${roots}.

${[...(hosts.length > 0 ? [...curl, ...browser] : ["No A record yet: run this again when there is one."]), dns].join("\n")}
`;
}
