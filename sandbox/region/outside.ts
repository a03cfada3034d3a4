import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { isIPv4 } from "node:net";
import { checkServerIdentity } from "node:tls";
import { contains, range } from "../addresses.ts";
import type { Instance } from "../instance.ts";
import { rootsFile } from "./authority.ts";

/** As long as a visitor may be asked to wait. */
const WAIT_SECONDS = 10;

/**
 * Whether a site answers who comes from the Internet, which is the host's side of the region: 2xx or 3xx, over HTTPS with a
 * certificate of the region's authority. What lies outside the region is not asked, and answers nobody.
 *
 * @param target A URL.
 */
export async function answersOutside(instance: Instance, target: string): Promise<boolean> {
    if (!URL.canParse(target)) return false;
    const url = new URL(target);
    const address = await addressOf(instance, url.hostname);
    if (address === undefined) return false;
    const { protocol, hostname, port, pathname, search } = url;
    const options = { host: address, port, path: pathname + search, headers: { host: url.host } };
    const request =
        protocol === "https:"
            ? https.request({
                  ...options,
                  agent: false,
                  servername: isIPv4(hostname) ? "" : hostname,
                  ca: rootsOf(instance),
                  checkServerIdentity: (_asked, certificate) => checkServerIdentity(hostname, certificate),
              })
            : http.request({ ...options, agent: false });
    request.on("error", () => undefined); // also once it was destroyed
    try {
        const signal = AbortSignal.timeout(WAIT_SECONDS * 1000);
        request.end();
        const [{ statusCode = 0 }] = (await once(request, "response", { signal })) as [http.IncomingMessage];
        return statusCode >= 200 && statusCode < 400;
    } catch {
        return false;
    } finally {
        request.destroy();
    }
}

async function addressOf({ addresses }: Instance, host: string): Promise<string | undefined> {
    const resolver = new Resolver({ timeout: 1000, tries: 2 });
    resolver.setServers([addresses.uplinkRouter]);
    const found = isIPv4(host) ? [host] : await resolver.resolve4(host).catch(() => []);
    return found.find((address) => contains(range(addresses.publicCidr), range(`${address}/32`)));
}

function rootsOf(instance: Instance): string {
    try {
        return readFileSync(rootsFile(instance), "utf8");
    } catch {
        return "";
    }
}
