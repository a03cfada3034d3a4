import type { Facts } from "./facts";
import { type Finding, lower, place, raise } from "./finding";
import { openBackends, openSsh, unguarded } from "./firewall-rules";
import type { Limits } from "./limits";

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
    "backends-closed": {
        says: "The servers answer to their load balancer, and to hosts that somebody has named: not to the Internet.",
        scope: "stack",
        judge: (facts, _limits, unknown) =>
            facts.firewalls.flatMap((firewall) => openBackends(firewall, facts, unknown)),
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

const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`;
