/**
 * Roots of the published API (https://github.com/digitalocean/openapi) of which the sandbox has nothing, and what it
 * leaves out of those that it has: a method where others of the same path are served, and the path's pattern.
 */
const absent: readonly [method: string, pattern: RegExp][] = [
    [
        "",
        new RegExp(
            `^/v2/(${[
                "1-clicks add-ons apps billing byoip_prefixes cdn certificates customers databases",
                "dedicated-inferences floating_ips functions gen-ai kubernetes load_balancers nfs",
                "organizations partner_network_connect projects registries registry reports reserved_ipv6 security",
                "spaces vector-databases volumes vpc_nat_gateways vpc_peerings",
            ]
                .join(" ")
                .replaceAll(" ", "|")})(/|$)`,
        ),
    ],
    [
        "",
        /^\/v2\/monitoring\/(?!alerts(\/|$)|metrics\/droplet\/(cpu|load_\d+|memory_\w+|filesystem_\w+|bandwidth)$)/,
    ],
    ["", /^\/v2\/droplets\/(autoscale(\/|$)|backups\/(supported_)?policies$)/],
    ["", /^\/v2\/droplets\/\d+\/(backups\/policy$|destroy_with_associated_resources(\/|$))/],
    ["POST", /^\/v2\/images$/],
    ["", /^\/v2\/images\/\d+\/(actions|account_transfer)(\/|$)/],
    ["", /^\/v2\/vpcs\/[^/]+\/peerings(\/|$)/],
];

/** Whether DigitalOcean documents an endpoint that the sandbox lacks. */
export function isAbsent(method: string, path: string): boolean {
    return absent.some(([only, pattern]) => (only === "" || only === method) && pattern.test(path));
}
