import { randomBytes } from "node:crypto";
import * as http from "node:http";
import * as https from "node:https";
import { isIPv4 } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { identityOf } from "../../lib/identity";
import { admissionFirewall, admissionName, isExpired, readAdmission } from "../live/admission";
import { askApi, deleteFromApi, listAll, postToApi, useAccountOf } from "../live/api";
import { readStack } from "../pulumi/stack";

interface AdmitOptions {
    address?: string;
    addressUrl?: string;
    minutes: number;
    remove?: boolean;
    sweep?: boolean;
}

interface Firewall {
    id: string;
    name: string;
    status: string;
}

const applySeconds = 60;

/**
 * Lets the machine that runs this reach SSH on the stack's load balancer, for one run of `pulumi up`: for pipelines on
 * machines whose address nobody knows before. Prints two lines for the environment of what follows:
 * `DROPSCALE_ADMITTED=<address>/32` for the program, and `DROPSCALE_ADMISSION=<id of the firewall>` for `--remove`, which
 * takes this admission away and no other: two runs may have the same address.
 *
 * Admissions that are past their time (their run was killed) are deleted by each admission, and by `--sweep`.
 */
export async function admit(stack: string, options: AdmitOptions): Promise<void> {
    const { address, minutes } = options;
    const { prefix } = await readStack(stack, () => Promise.resolve(false));
    await useAccountOf(stack);
    if (options.remove) return remove(prefix, process.env.DROPSCALE_ADMISSION ?? "");
    await sweep(prefix);
    if (!options.sweep) await letIn(prefix, address ?? (await askAddress(serviceFor(options))), minutes);
}

/** A pipeline's variable that is not set is empty. */
function serviceFor({ addressUrl }: AdmitOptions): string {
    const { DROPSCALE_ADDRESS_URL: variable = "" } = process.env;
    return addressUrl ?? (variable === "" ? "https://ifconfig.me/ip" : variable);
}

async function sweep(prefix: string): Promise<void> {
    for (const { id, name } of await listAll<Firewall>("firewalls", "firewalls")) {
        if (!isExpired(readAdmission(prefix, name))) continue;
        await deleteFromApi(`firewalls/${id}`, []);
        console.error(`removed ${name}`);
    }
}

/** @throws Error where `id` is no admission of this stack; one that is gone already is fine. */
async function remove(prefix: string, id: string): Promise<void> {
    const help = "it should be what admit printed; what is left is swept when its time is over";
    const wrong = (what: string) => new Error(`DROPSCALE_ADMISSION of the environment is ${what}: ${help}`);
    if (!/^[\w-]+$/.test(id)) throw wrong(id === "" ? "not set" : id);
    const found = (await askApi(`firewalls/${id}`)) as { firewall: Firewall } | undefined;
    if (found === undefined) {
        console.error(`${id} is gone already`);
        return;
    }
    const { name } = found.firewall;
    if (readAdmission(prefix, name) === undefined) throw wrong(`${id}, the firewall ${name}`);
    await deleteFromApi(`firewalls/${id}`, []);
    console.error(`removed ${name}`);
}

async function letIn(prefix: string, address: string, minutes: number): Promise<void> {
    const until = new Date(Date.now() + minutes * 60_000);
    const name = admissionName(prefix, { address, until }, randomBytes(4).toString("hex"));
    const { loadBalancerTag } = identityOf(prefix);
    // Before a first `up` there is no such tag, and a firewall takes only those that exist. One that exists is no
    // error: the provider itself asks for it each time it tags a droplet.
    // https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/tag/tags.go
    await postToApi("tags", { name: loadBalancerTag });
    const body = admissionFirewall(name, address, loadBalancerTag);
    let { firewall } = (await postToApi("firewalls", body)) as { firewall: Firewall };
    // Before anything else can fail: `--remove` must know it.
    console.log(`DROPSCALE_ADMITTED=${address}/32\nDROPSCALE_ADMISSION=${firewall.id}`);
    const deadline = Date.now() + applySeconds * 1000;
    while (firewall.status === "waiting" && Date.now() < deadline) {
        await sleep(2000);
        ({ firewall } = (await askApi(`firewalls/${firewall.id}`)) as { firewall: Firewall });
    }
    console.error(`made ${name}: ${address} may reach SSH on the load balancer`);
}

/** The address with which this machine is seen. @throws Error if the service does not answer with one within 10 s. */
async function askAddress(url: string): Promise<string> {
    const help = "name another service with --address-url, or the address with --address";
    const answer = await new Promise<string>((resolve, reject) => {
        const { get } = url.startsWith("http://") ? http : https;
        // IPv4, as the load balancer's address; without a User-Agent that looks like a browser's.
        const call = get(url, { family: 4, timeout: 10_000 }, (response) => {
            let body = "";
            response.on("data", (chunk: Buffer) => (body += chunk.toString()));
            response.once("end", () => {
                resolve(body.trim());
            });
        });
        call.once("timeout", () => call.destroy(new Error("no answer within 10 s")));
        call.once("error", reject);
    }).catch((error: unknown) => {
        throw new Error(`${url} does not tell this machine's address: ${(error as Error).message}; ${help}`);
    });
    if (isIPv4(answer)) return answer;
    throw new Error(`${url} should answer with an IPv4 address, got ${answer.slice(0, 80)}; ${help}`);
}
