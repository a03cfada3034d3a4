import { isIPv6 } from "node:net";
import type { DropletFacts, Facts, FirewallFacts, InboundRule } from "./facts";
import type { Limits } from "./limits";

/** What a rule found. Nothing at all: it is kept. */
export interface Finding {
    /** What was found, such as `25 servers`. */
    found: string;
    /** What the rule allows, such as `at most 20`. */
    allowed: string;
    /** How to keep the rule, or how to raise the limit. */
    fix: string;
}

/** A {@link Finding} with the rule that it is of. */
export interface Violation extends Finding {
    rule: RuleId;
    /** What the rule says. */
    says: string;
    /** It only warns: the stack's limits name it as `advisory`. */
    advisory: boolean;
}

/** What could not be judged. */
export interface Unjudged {
    rule: RuleId;
    /** What is not known, and why, such as `the size of web-0 is not known yet`. */
    why: string;
}

/** What {@link judge} says. */
export interface Verdict {
    /** Mandatory ones first. */
    violations: Violation[];
    /** Rules that were not judged, or not for all: what they need is not known. */
    unjudged: Unjudged[];
}

interface Rule {
    /** What it says, as one sentence. */
    says: string;
    /** `resource`: it can be judged of each resource alone, so before that one is made. `stack`: only of all. */
    scope: "resource" | "stack";
    /** Returns findings; calls `unknown` for each thing that it can't judge. */
    judge: (facts: Facts, limits: Limits, unknown: (why: string) => void) => Finding[];
}

/** One rule for each limit, and those that have none. */
export const rules = {
    "max-replicas": {
        says: "The pool has at most so many servers.",
        scope: "resource",
        judge: ({ servers, stack }, { maxReplicas }) =>
            servers && servers.length > maxReplicas
                ? [
                      {
                          found: `${servers.length} servers`,
                          allowed: `at most ${maxReplicas}`,
                          fix: `lower dropscale:replicas, or ${raise("maxReplicas", stack)}`,
                      },
                  ]
                : [],
    },
    "min-replicas": {
        says: "The pool has at least so many servers, so that one may fail.",
        scope: "resource",
        judge: ({ servers, stack }, { minReplicas }) =>
            servers && servers.length < minReplicas
                ? [
                      {
                          found: count(servers.length, "server"),
                          allowed: `at least ${minReplicas}`,
                          fix: `raise dropscale:replicas, or ${lower("minReplicas", stack)}`,
                      },
                  ]
                : [],
    },
    "max-shrink": {
        says: "One change takes away at most so many per cent of the servers.",
        scope: "stack",
        judge: ({ servers, serversBefore, stack }, { maxShrinkPercent }, unknown) => {
            if (serversBefore === undefined) {
                unknown("only `make plan` sees how many servers there were before");
                return [];
            }
            if (!servers || serversBefore.length === 0) return [];
            const percent = 100 * (1 - servers.length / serversBefore.length);
            if (percent <= maxShrinkPercent) return [];
            const least = Math.ceil(serversBefore.length * (1 - maxShrinkPercent / 100));
            return [
                {
                    found: `${serversBefore.length} servers become ${servers.length}, ${Math.round(percent)} % less`,
                    allowed: `at most ${maxShrinkPercent} % less`,
                    fix: `go down to ${least} first, or ${raise("maxShrinkPercent", stack)}`,
                },
            ];
        },
    },
    "max-monthly-cost": {
        says: "All droplets together cost at most so much a month.",
        scope: "stack",
        judge: ({ monthlyCost, stack }, { maxMonthlyCostUsd }, unknown) => {
            if (monthlyCost === undefined) {
                unknown("what the stack will cost is not known yet");
                return [];
            }
            if (monthlyCost <= maxMonthlyCostUsd) return [];
            return [
                {
                    found: `$${monthlyCost} a month`,
                    allowed: `at most $${maxMonthlyCostUsd}`,
                    fix: `choose fewer or smaller servers, or ${raise("maxMonthlyCostUsd", stack)}`,
                },
            ];
        },
    },
    "allowed-sizes": {
        says: "Droplets have one of the allowed sizes.",
        scope: "resource",
        judge: (facts, { sizes }, unknown) => allowedSlugs(facts, "size", sizes, unknown),
    },
    "allowed-regions": {
        says: "Droplets are in one of the allowed regions.",
        scope: "resource",
        judge: (facts, { regions }, unknown) => allowedSlugs(facts, "region", regions, unknown),
    },
    "no-ssh-from-everywhere": {
        says: "No firewall opens SSH to the whole Internet, unless the stack's config and its limits both say so.",
        scope: "stack",
        judge: (facts, limits, unknown) =>
            facts.firewalls.flatMap((firewall) => openSsh(firewall, facts, limits, unknown)),
    },
    "firewall-on-every-droplet": {
        says: "A firewall with inbound rules holds for every droplet by one of its tags, so from its first packet.",
        scope: "stack",
        judge: (facts, _limits, unknown) =>
            facts.droplets.flatMap((droplet) => unguarded(droplet, facts.firewalls, unknown)),
    },
    "host-key-pinned": {
        says: "Every command over SSH knows the key of the host that it talks to.",
        scope: "resource",
        judge: ({ remoteCommands }, _limits, unknown) =>
            remoteCommands.flatMap(({ name, hostKeyPinned }) => {
                if (hostKeyPinned === undefined)
                    unknown(
                        `whether the connection of ${name} pins the host's key is not known yet, or a secret`,
                    );
                if (hostKeyPinned !== false) return [];
                return [
                    {
                        found: `${name} talks to any host`,
                        allowed: "connection.hostKey (and that of its proxy) is set",
                        fix: "pass the connection of components/load-balancer.ts, or set hostKey",
                    },
                ];
            }),
    },
    "create-before-delete": {
        says: "A droplet that is replaced is deleted after its successor serves, never before.",
        scope: "resource",
        judge: ({ droplets }) =>
            droplets.flatMap(({ name, explicitName, deleteBeforeReplace }) => {
                if (deleteBeforeReplace !== true && (explicitName !== true || deleteBeforeReplace === false))
                    return [];
                return [
                    {
                        // https://www.pulumi.com/docs/iac/concepts/options/deletebeforereplace/
                        found: deleteBeforeReplace
                            ? `${name} has deleteBeforeReplace: true`
                            : `${name} has a name of its own in the account, so the provider deletes before it creates`,
                        allowed: "droplets that are made before the old ones are deleted",
                        fix: `leave \`name\` out (the engine makes one up), or give ${name} the option deleteBeforeReplace: false`,
                    },
                ];
            }),
    },
} satisfies Record<string, Rule>;

export type RuleId = keyof typeof rules;

/**
 * Judges what a change would make.
 *
 * @param limits Of the stack that the facts are of.
 * @param only Which rules. @default all
 */
export function judge(
    facts: Facts,
    limits: Limits,
    only: readonly RuleId[] = Object.keys(rules) as RuleId[],
): Verdict {
    const verdict: Verdict = { violations: [], unjudged: [] };
    for (const rule of only) {
        const { says, judge } = rules[rule] as Rule;
        const advisory = limits.advisory.includes(rule);
        const findings = judge(facts, limits, (why) => verdict.unjudged.push({ rule, why }));
        verdict.violations.push(...findings.map((finding) => ({ rule, says, advisory, ...finding })));
    }
    verdict.violations.sort((a, b) => Number(a.advisory) - Number(b.advisory));
    return verdict;
}

/** One sentence for a reader who sees nothing else: the value found, what is allowed, what to do. */
export function describeFinding({ found, allowed, fix }: Finding): string {
    return `${found}; allowed: ${allowed}. To mend it: ${fix}.`;
}

function allowedSlugs(
    { droplets, stack }: Facts,
    key: "size" | "region",
    allowed: Limits["sizes"],
    unknown: (why: string) => void,
): Finding[] {
    if (allowed === "any") return [];
    return droplets.flatMap((droplet) => {
        const slug = droplet[key];
        if (slug === undefined) unknown(`the ${key} of ${droplet.name} is not known yet`);
        if (slug === undefined || allowed.includes(slug)) return [];
        const limit = `${key}s` as const;
        const found = `${droplet.name} has ${key} ${slug}`;
        return [
            {
                found,
                allowed: allowed.join(", "),
                fix: `choose another ${key}, or add ${slug} to ${place(limit, stack)}`,
            },
        ];
    });
}

function openSsh(
    { name, inbound }: FirewallFacts,
    { sshFromAnywhere, stack }: Facts,
    limits: Limits,
    unknown: (why: string) => void,
): Finding[] {
    if (inbound === undefined) unknown(`the inbound rules of firewall ${name} are not known yet`);
    const sources = (inbound ?? []).filter(admitsSsh).flatMap(({ sourceAddresses = [] }) => sourceAddresses);
    const open = sources.filter(isWide);
    if (open.length === 0 || (sshFromAnywhere && limits.sshFromAnywhere === "if-configured")) return [];
    const limit = `set ${place("sshFromAnywhere", stack)} to if-configured`;
    return [
        {
            found: `firewall ${name} admits SSH from ${open.join(", ")}`,
            allowed: `ranges of /${widestRange.ipv4} and smaller (IPv6: /${widestRange.ipv6})`,
            fix: sshFromAnywhere
                ? `take dropscale:sshFromAnywhere out of the stack's config, or ${limit}`
                : `name your own addresses in dropscale:adminCidrs${limits.sshFromAnywhere === "never" ? "" : ", or say that it is meant: dropscale:sshFromAnywhere"}`,
        },
    ];
}

/** The largest ranges that one organization was ever given: https://www.iana.org/assignments/ipv4-address-space */
const widestRange = { ipv4: 8, ipv6: 16 };

function isWide(cidr: string): boolean {
    const [address = "", bits] = cidr.split("/");
    if (bits === undefined) return false;
    return Number(bits) < (isIPv6(address) ? widestRange.ipv6 : widestRange.ipv4);
}

function admitsSsh({ protocol, portRange = "all" }: InboundRule): boolean {
    if (protocol !== "tcp") return false;
    if (portRange === "all" || portRange === "0" || portRange === "") return true;
    const [from, to = from] = portRange.split("-").map(Number);
    return from !== undefined && to !== undefined && from <= 22 && 22 <= to;
}

function unguarded(
    { name, tags }: DropletFacts,
    firewalls: readonly FirewallFacts[],
    unknown: (why: string) => void,
): Finding[] {
    const mayGuard = firewalls.filter(
        (firewall) => !tags || !firewall.tags || firewall.tags.some((tag) => tags.includes(tag)),
    );
    if (tags && mayGuard.some((firewall) => firewall.tags && firewall.inbound?.length)) return [];
    if (!tags || mayGuard.some((firewall) => !firewall.tags || !firewall.inbound)) {
        unknown(`whether a firewall holds for ${name} is not known yet`);
        return [];
    }
    return [
        {
            found: `no firewall holds for ${name} (its tags: ${tags.join(", ") || "none"})`,
            allowed: "droplets with a tag of a firewall that has inbound rules",
            fix: `give ${name} a tag of components/network.ts, or a firewall of its own by tag`,
        },
    ];
}

const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`;
const place = (limit: keyof Limits, stack: string) =>
    `\`${limit}\` in policy/limits.yaml (stacks: ${stack}: …)`;
const raise = (limit: keyof Limits, stack: string) => `raise ${place(limit, stack)}`;
const lower = (limit: keyof Limits, stack: string) => `lower ${place(limit, stack)}`;
