/**
 * `tsx tools/admit.ts STACK`: lets the machine that runs this reach SSH on the stack's load balancer, for one run of
 * `pulumi up`. For pipelines on machines whose address nobody knows before. Prints `DROPSCALE_ADMITTED=<address>/32`,
 * which the program must have in its environment; `--remove` at the end takes the admission away.
 *
 * Admissions that are past their time (their run was killed) are deleted by each admission, and by `--sweep`.
 */
import * as http from "node:http";
import * as https from "node:https";
import { isIPv4 } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Admission, admissionFirewall, admissionName, isExpired, readAdmission } from "./admission";
import { askApi, deleteFromApi, listAll, postToApi } from "./api";
import { readStack } from "./doctor-stack";
import { namesOf } from "./orphans";

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
    /** Take this machine's admissions away. */
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
    if (options.sweep) {
        await removeThose(prefix, isExpired);
    } else if (options.remove) {
        const admitted = /^([\d.]+)\/32$/.exec(process.env.DROPSCALE_ADMITTED ?? "")?.[1];
        const address = options.address ?? admitted ?? (await askAddress(options.addressUrl));
        await removeThose(prefix, (admission) => admission.address === address);
    } else {
        await removeThose(prefix, isExpired);
        const address = options.address ?? (await askAddress(options.addressUrl));
        await admit(prefix, address, options.minutes);
        console.log(`DROPSCALE_ADMITTED=${address}/32`);
    }
}

async function removeThose(prefix: string, isDue: (admission: Admission) => boolean): Promise<void> {
    for (const { id, name } of await listAll<Firewall>("firewalls", "firewalls")) {
        const admission = readAdmission(prefix, name);
        if (admission === undefined || !isDue(admission)) continue;
        await deleteFromApi(`firewalls/${id}`, []);
        console.error(`removed ${name}`);
    }
}

async function admit(prefix: string, address: string, minutes: number): Promise<void> {
    const name = admissionName(prefix, { address, until: new Date(Date.now() + minutes * 60_000) });
    const { loadBalancerTag } = namesOf(prefix);
    // Before a first `up` there is no such tag, and a firewall takes only those that exist. One that exists is no
    // error: the provider itself asks for it each time it tags a droplet.
    // https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/tag/tags.go
    await postToApi("tags", { name: loadBalancerTag });
    const body = admissionFirewall(name, address, loadBalancerTag);
    let { firewall } = (await postToApi("firewalls", body)) as { firewall: Firewall };
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
    try {
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
    } catch (error) {
        throw new Error(`${(error as Error).message}\nallowed: ${usage}`, { cause: error });
    }
}

async function run(): Promise<void> {
    await main(readOptions(process.argv.slice(2)));
}

run().catch((error: unknown) => {
    console.error(`error: ${(error as Error).message}`);
    process.exitCode = 1;
});
