import { Resolver } from "node:dns/promises";

/**
 * Environment variable with the DNS server to ask about the site's names, an address: for where it is not this machine's
 * that tells visitors, such as a DigitalOcean of one's own.
 */
export const resolverVariable = "DROPSCALE_RESOLVER";

/** How long answers are waited for, in milliseconds: what they are for is a warning. */
const patienceMs = 3000;

/**
 * The IPv4 and IPv6 addresses that visitors find under each name; all are asked at once. `undefined` where nobody says.
 *
 * @param server IPv4 address of the server to ask. @default this machine's
 */
export async function lookUpNames(
    names: readonly string[],
    server: string | undefined,
): Promise<(string[] | undefined)[]> {
    const resolver = new Resolver({ timeout: patienceMs, tries: 1 });
    if (server) resolver.setServers([server]);
    const patience = setTimeout(() => {
        resolver.cancel();
    }, patienceMs);
    try {
        return await Promise.all(
            names.map(async (name) => {
                const both = [resolver.resolve4(name), resolver.resolve6(name)];
                const [four, six] = await Promise.all(both.map((asked) => asked.catch(noneIfMissing)));
                return four && six && [...four, ...six];
            }),
        );
    } finally {
        clearTimeout(patience);
    }
}

/** No such name, or no such record, is an answer; silence is none. */
function noneIfMissing({ code }: NodeJS.ErrnoException): string[] | undefined {
    return code === "ENOTFOUND" || code === "ENODATA" ? [] : undefined;
}
