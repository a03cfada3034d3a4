import { maxDrainSeconds } from "../components/haproxy/apply";
import { healthHostForm, healthPathForm } from "../components/haproxy/render";
import { acmeServer } from "../lib/acme";
import { readAlerts } from "../lib/alert-settings";
import { readBackendSources } from "../lib/backend-sources";
import { readAutoscale } from "../lib/autoscale-settings";
import {
    adminRanges,
    emailForm,
    listOf,
    matching,
    Mistakes,
    type Rule,
    slotNumbers,
    wholeNumber,
    yesOrNo,
} from "../lib/config-rules";
import type { Findings } from "../lib/config-values";
import { drainMargin, openAccess, shortDrain, unlikely } from "../lib/config-together";
import { domainNames, httpsOf, type HttpsSettings, zoneName } from "../lib/https-settings";
import { prefixOf } from "../lib/identity";
import { isIpv4Range } from "../lib/ipv4-ranges";
import { readMetricsSources } from "../lib/metrics";
import { readRelease } from "../lib/release";
import { isRewritten, unknownKeyAdvice } from "../lib/stack-file";
import { checkUserData } from "../userdata/check";
import { adminHostFile, backendFiles, loadBalancerFile, readUserData } from "../userdata/files";
import { renderBackendUserData, renderLoadBalancerUserData, renderUserData } from "../userdata/render";

const imageSlug = matching(
    /^[a-z0-9][a-z0-9-]*$/,
    "an image's slug such as debian-12-x64, or a snapshot's number",
);
const sizeSlug = matching(/^[a-z0-9][a-z0-9-]*$/, "a size's slug such as s-1vcpu-1gb");

const generationName = matching(/^[\w.-]{0,50}$/, "at most 50 letters, digits, dots, dashes and underscores");

/** One rule for every key. Meanings and defaults stand in Pulumi.yaml. */
const rules = {
    replicas: wholeNumber(0, 1000),
    retired: slotNumbers,
    hold: slotNumbers,
    autoscale: readAutoscale,
    generation: generationName,
    // No dash: the first one ends it, so that no two stacks' names begin alike.
    namePrefix: matching(/^[a-z][a-z0-9]{0,30}$/, "1 to 31 lower-case letters and digits, a letter first"),
    region: matching(/^[a-z]{3}\d$/, "a region's slug such as fra1"),
    vpcId: matching(
        /^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$/,
        "the UUID of a VPC, or empty for a VPC of the stack's own",
    ),
    image: imageSlug,
    size: sizeSlug,
    loadBalancerImage: imageSlug,
    loadBalancerSize: sizeSlug,
    loadBalancerGeneration: generationName,
    userdata: userDataText,
    content: (raw) => (raw === "" ? undefined : readRelease(raw)),
    appPort: wholeNumber(1, 65_535),
    healthPath: matching(healthPathForm.pattern, healthPathForm.description),
    healthHost: matching(healthHostForm.pattern, healthHostForm.description),
    readySeconds: wholeNumber(10, 3600),
    serverTimeoutSeconds: wholeNumber(1, maxDrainSeconds - drainMargin),
    drainSeconds: wholeNumber(1 + drainMargin, maxDrainSeconds),
    trustedProxies: listOf(
        isIpv4Range,
        'a list of IPv4 ranges of the proxies and CDNs in front, such as ["203.0.113.0/24"]',
    ),
    logOneIn: wholeNumber(0, 1_000_000),
    domains: domainNames,
    // The texts are judged together, and never repeated: one is a key.
    tlsCertificate: (raw) => raw,
    tlsKey: (raw) => raw,
    acmeEmail: matching(
        new RegExp(`^$|${emailForm.source}`, "i"),
        "an e-mail address, or empty for a certificate of your own",
    ),
    acmeServer,
    dnsZone: zoneName,
    dnsTtl: wholeNumber(30, 86_400),
    httpsRedirect: yesOrNo,
    hsts: wholeNumber(0, 2 * 63_072_000),
    backendSources: readBackendSources,
    metricsSources: readMetricsSources,
    adminCidrs: adminRanges,
    sshFromAnywhere: yesOrNo,
    adminHost: yesOrNo,
    adminHostImage: imageSlug,
    adminHostSize: sizeSlug,
    alerts: readAlerts,
} satisfies Record<string, Rule<unknown>>;

/** A key of the config. */
export type Key = keyof typeof rules;

/** The values of keys, checked. */
export type Checked<K extends Key> = { readonly [each in K]: ReturnType<(typeof rules)[each]> };

/** The stack's config by key, checked, and what follows from it. */
export type Values = Checked<Key> & {
    /** `<namePrefix>-<stack>`: first part of every name and tag in the account. */
    readonly prefix: string;
    /** The text of userdata/haproxy.yaml; the load balancer's host key is still to be added. */
    readonly loadBalancerUserData: string;
    /** The text of userdata/admin-host.yaml. */
    readonly adminHostUserData: string;
    /** How the site is served over HTTPS; undefined without `domains`. */
    readonly https?: HttpsSettings;
};

/** What haproxy.cfg takes from the config. */
export function trafficOf(values: Checked<TrafficKey>) {
    const { appPort, healthPath, healthHost, serverTimeoutSeconds, drainSeconds, trustedProxies, logOneIn } =
        values;
    const { domains, httpsRedirect, hsts, metricsSources } = values;
    return {
        ...{ appPort, healthPath, healthHost, serverTimeoutSeconds, drainSeconds, trustedProxies, logOneIn },
        ...(domains.length > 0 && { https: { redirect: httpsRedirect, hsts } }),
        ...(metricsSources.length > 0 && { metrics: true }),
    };
}

/** The keys that {@link trafficOf} reads. */
export const trafficKeys = [
    ...(["appPort", "healthPath", "healthHost", "serverTimeoutSeconds", "drainSeconds"] as const),
    ...(["trustedProxies", "logOneIn", "domains", "httpsRedirect", "hsts", "metricsSources"] as const),
];
type TrafficKey = (typeof trafficKeys)[number];

/**
 * Checks the values of some keys, each by itself.
 *
 * @param raw Text, or JSON for lists, by key; the defaults of Pulumi.yaml are in already.
 * @param unquoted What stands without quotes in the stack's file, by key. @default nothing
 * @returns What is right, and every wrong value: what is wrong, what was found, what is allowed, what to do.
 */
export function readKeys<K extends Key>(
    keys: readonly K[],
    raw: Readonly<Record<string, string>>,
    unquoted: Readonly<Record<string, string>> = {},
): { values: Partial<Checked<K>>; problems: string[] } {
    const problems: string[] = [];
    const values: Partial<Record<Key, unknown>> = {};
    for (const key of keys) {
        const found = raw[key] ?? "";
        const written = unquoted[key] ?? found;
        const quotes = `; put it in quotes: pulumi config set ${key} ${written}`;
        const advice = isRewritten(written, found) ? quotes : "";
        try {
            values[key] = rules[key](found);
            // A number may be written in any form; a text is what it looks like.
            if (typeof values[key] === "string" && advice !== "")
                problems.push(
                    `'${key}' is ${written} without quotes, of which Pulumi makes ${found}${advice}`,
                );
        } catch (error) {
            if (error instanceof Mistakes) {
                problems.push(...error.problems);
                continue;
            }
            const value = found === "" ? "nothing" : found;
            problems.push(`'${key}' should be ${(error as Error).message}, got ${value}${advice}`);
        }
    }
    return { values: values as Partial<Checked<K>>, problems };
}

/**
 * Checks plain config values, each by itself and all together, and the files that they name.
 *
 * @param raw As for {@link readKeys}.
 * @param stack The stack's name, the second part of every name in the account.
 * @param unquoted As for {@link readKeys}.
 * @returns As {@link readKeys}.
 */
export function parseSettings(
    raw: Readonly<Record<string, string>>,
    stack: string,
    unquoted: Readonly<Record<string, string>> = {},
): Findings & { settings: Partial<Values> } {
    const keys = Object.keys(rules) as Key[];
    const { values: checked, problems } = readKeys(keys, raw, unquoted);
    const values: Partial<Record<keyof Values, unknown>> = checked;
    for (const key of Object.keys(raw).filter((name) => !(name in rules))) {
        problems.push(`'${key}' is no key of this program; ${unknownKeyAdvice(key, raw[key] ?? "", keys)}`);
    }
    // Tags differing in case alone are one tag, and stacks that share one would share their firewalls.
    // https://docs.digitalocean.com/reference/api/digitalocean/#tag/Tags
    if (!/^[a-z0-9-]{1,60}$/.test(stack)) {
        problems.push(
            `the stack's name should be 1 to 60 lower-case letters, digits and dashes, got ${stack}`,
        );
    }
    const ownText = (file: string) => {
        try {
            return readUserData(file);
        } catch (error) {
            problems.push(`userdata/${file}.yaml: ${(error as Error).message}`);
            return undefined;
        }
    };
    values.loadBalancerUserData = ownText(loadBalancerFile);
    values.adminHostUserData = ownText(adminHostFile);
    const userData = [
        checkUserData(raw.userdata ?? "", values.userdata, (text) =>
            renderBackendUserData({ text, generation: raw.generation ?? "" }),
        ),
        checkUserData(loadBalancerFile, values.loadBalancerUserData, (text) =>
            renderLoadBalancerUserData({ text, generation: raw.loadBalancerGeneration ?? "" }),
        ),
        checkUserData(adminHostFile, values.adminHostUserData, (text) => renderUserData(text)),
    ];
    problems.push(...userData.flatMap((found) => found.problems));
    const settings = { ...values } as { -readonly [K in keyof Values]?: Values[K] };
    if (settings.namePrefix !== undefined) settings.prefix = prefixOf(settings.namePrefix, stack);
    const { https, ...found } = httpsOf(settings);
    if (https) settings.https = https;
    problems.push(...openAccess(settings), ...shortDrain(settings), ...found.problems);
    const warnings = [
        ...unlikely(settings),
        ...found.warnings,
        ...userData.flatMap((found) => found.warnings),
    ];
    return { settings, problems, warnings };
}

/** The text of the file that the key names. */
function userDataText(raw: string): string {
    const files = backendFiles();
    const form = "the name of a file in userdata/ that a droplet accepts";
    if (!files.includes(raw)) throw new Error(`${form} (there are ${files.join(", ")})`);
    try {
        return readUserData(raw);
    } catch (error) {
        throw new Error(`${form} (${(error as Error).message})`, { cause: error });
    }
}
