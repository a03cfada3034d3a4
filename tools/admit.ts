/**
 * `tsx tools/admit.ts STACK`: lets the machine that runs this reach SSH on the stack's load balancer, for one run of
 * `pulumi up`. For pipelines on machines whose address nobody knows before. Prints two lines for the environment of what
 * follows: `DROPSCALE_ADMITTED=<address>/32` for the program, and `DROPSCALE_ADMISSION=<id of the firewall>` for
 * `--remove`, which takes this admission away at the end, and no other: two runs may have the same address.
 *
 * Admissions that are past their time (their run was killed) are deleted by each admission, and by `--sweep`.
 */
import { randomBytes } from "node:crypto";
import * as http from "node:http";
import * as https from "node:https";
import { isIPv4 } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { identityOf } from "../lib/identity";
import { admissionFirewall, admissionName, isExpired, readAdmission } from "./admission";
import { askApi, deleteFromApi, listAll, postToApi, useAccountOf } from "./api";
import { runCommand } from "./command";
import { readStack } from "./doctor-stack";

const usage =
    "tsx tools/admit.ts STACK [--address IPV4 | --address-url URL] [--minutes N] [--remove | --sweep]";

interface Options {
    stack: string;
    /** The address to admit. @default what `addressUrl` answers */
    address: string | undefined;
    /**
     * Answers a GET with the address it comes from, as plain text.
     *
     * @default DROPSCALE_ADDRESS_URL of the environment, or else https://ifconfig.me/ip
     */
    addressUrl: string;
    /** How long it holds if nobody removes it. */
    minutes: number;
    /** Take away the admission that DROPSCALE_ADMISSION of the environment names. */
    remove: boolean;
    /** Only delete what is past its time. */
    sweep: boolean;
}

interface Firewall {
    id: string;
    name: string;
    status: string;
}

/** How long a firewall may take until it holds. */
const applySeconds = 60;

async function main(options: Options): Promise<void> {
    const { prefix } = await readStack(options.stack, () => Promise.resolve(false));
    await useAccountOf(options.stack);
    if (options.sweep) {
        await sweep(prefix);
    } else if (options.remove) {
        await remove(prefix, process.env.DROPSCALE_ADMISSION ?? "");
    } else {
        await sweep(prefix);
        await admit(prefix, options.address ?? (await askAddress(options.addressUrl)), options.minutes);
    }
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
    if (!/^[\w-]+$/.test(id))
        throw new Error(`DROPSCALE_ADMISSION of the environment is ${id === "" ? "not set" : id}: ${help}`);
    const found = (await askApi(`firewalls/${id}`)) as { firewall: Firewall } | undefined;
    if (found === undefined) {
        console.error(`${id} is gone already`);
        return;
    }
    const { name } = found.firewall;
    if (readAdmission(prefix, name) === undefined)
        throw new Error(`DROPSCALE_ADMISSION of the environment is ${id}, the firewall ${name}: ${help}`);
    await deleteFromApi(`firewalls/${id}`, []);
    console.error(`removed ${name}`);
}

async function admit(prefix: string, address: string, minutes: number): Promise<void> {
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

/** @throws Error that says what is allowed. */
function readOptions(args: string[]): Options {
    // A pipeline's variable that is not set is empty.
    const { DROPSCALE_ADDRESS_URL: service = "" } = process.env;
    const { values, positionals } = parseArgs({
        args,
        allowPositionals: true,
        options: {
            address: { type: "string" },
            "address-url": {
                type: "string",
                default: service === "" ? "https://ifconfig.me/ip" : service,
            },
            minutes: { type: "string", default: "120" },
            remove: { type: "boolean", default: false },
            sweep: { type: "boolean", default: false },
        },
    });
    const { address, minutes, remove, sweep } = values;
    const [stack, ...more] = positionals;
    if (stack === undefined || more.length > 0 || (remove && sweep))
        throw new Error("name one stack, and at most one of --remove and --sweep");
    if (address !== undefined && !isIPv4(address))
        throw new Error(`--address should be an IPv4 address, got ${address}`);
    if (!/^[1-9]\d{0,3}$/.test(minutes))
        throw new Error(`--minutes should be a whole number from 1 to 9999, got ${minutes}`);
    return { stack, address, addressUrl: values["address-url"], minutes: Number(minutes), remove, sweep };
}

runCommand(usage, readOptions, main);
