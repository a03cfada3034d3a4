import { isAdminHost, isLoadBalancer } from "../lib/identity";
import type { Facts } from "./facts";
import { admitsSsh, openRanges, ownRanges } from "./open-ranges";

/** What limits.yaml has for one stack; the meaning of each stands there. */
export interface Limits {
    minReplicas: number;
    maxReplicas: number;
    maxShrinkPercent: number;
    maxMonthlyCostUsd: number;
    sizes: "any" | readonly string[];
    regions: "any" | readonly string[];
    sshFromAnywhere: "if-configured" | "never";
    /** Names of rules; the same for every stack. */
    advisory: readonly string[];
}

/** Takes why something can't be judged. */
type Unknown = (why: string) => void;

interface Rule {
    description: string;
    /** `resource`: it can be judged of each resource alone, so before that one is made. `stack`: only of all. */
    scope: "resource" | "stack";
    /** Returns what breaks it, in words; calls `unknown` for each thing that it can't judge. */
    check: (facts: Facts, limits: Limits, unknown: Unknown) => string[];
}

/** One rule for each limit, and those that have none. */
export const rules = {
    "max-replicas": {
        description: "The pool has at most so many servers.",
        scope: "resource",
        check: ({ servers, stack }, { maxReplicas }) => {
            if (!servers || servers.length <= maxReplicas) return [];
            const fix = `lower dropscale:replicas, or raise ${place("maxReplicas", stack)}`;
            return broken(`${servers.length} servers`, `at most ${maxReplicas}`, fix);
        },
    },
    "min-replicas": {
        description: "The pool has at least so many servers, so that one may fail.",
        scope: "resource",
        check: ({ servers, stack }, { minReplicas }) => {
            if (!servers || servers.length >= minReplicas) return [];
            const found = `${servers.length} server${servers.length === 1 ? "" : "s"}`;
            const fix = `raise dropscale:replicas, or lower ${place("minReplicas", stack)}`;
            return broken(found, `at least ${minReplicas}`, fix);
        },
    },
    "max-shrink": {
        description: "One change takes away at most so many per cent of the servers.",
        scope: "stack",
        check: ({ servers, serversBefore, stack }, { maxShrinkPercent: most }, unknown) => {
            if (!serversBefore) unknown("only `make plan` sees how many servers there were before");
            if (!servers || !serversBefore?.length) return [];
            const percent = 100 * (1 - servers.length / serversBefore.length);
            if (percent <= most) return [];
            const least = Math.ceil(serversBefore.length * (1 - most / 100));
            return broken(
                `${serversBefore.length} servers become ${servers.length}, ${Math.round(percent)} % less`,
                `at most ${most} % less`,
                `go down to ${least} first, or raise ${place("maxShrinkPercent", stack)}`,
            );
        },
    },
    "max-monthly-cost": {
        description: "All that costs, together, is at most so much a month.",
        scope: "stack",
        check: ({ monthlyCost, stack }, { maxMonthlyCostUsd: most }, unknown) => {
            if (monthlyCost === undefined) unknown("what the stack will cost is not known yet");
            if (monthlyCost === undefined || monthlyCost <= most) return [];
            const fix = `choose fewer or smaller servers, or raise ${place("maxMonthlyCostUsd", stack)}`;
            return broken(`$${monthlyCost} a month`, `at most $${most}`, fix);
        },
    },
    "allowed-sizes": {
        description: "Droplets have one of the allowed sizes.",
        scope: "resource",
        check: allowedSlugs("size"),
    },
    "allowed-regions": {
        description: "Droplets are in one of the allowed regions.",
        scope: "resource",
        check: allowedSlugs("region"),
    },
    "no-ssh-from-everywhere": {
        description:
            "No firewall opens SSH to the whole Internet, unless the stack's config and its limits both say so.",
        scope: "stack",
        check: openSsh,
    },
    "backends-closed": {
        description:
            "The servers answer to their load balancer, and to hosts that somebody has named: not to the Internet.",
        scope: "stack",
        check: openBackends,
    },
    "firewall-on-every-droplet": {
        description:
            "A firewall with inbound rules holds for every droplet by one of its tags, so from its first packet.",
        scope: "stack",
        check: unguarded,
    },
    "host-key-pinned": {
        description: "Every command over SSH knows the key of the host that it talks to.",
        scope: "resource",
        check: ({ remoteCommands }, _limits, unknown) =>
            remoteCommands.flatMap(({ name, hostKeyPinned: isPinned }) => {
                if (isPinned === undefined)
                    unknown(
                        `whether the connection of ${name} pins the host's key is not known yet, or a secret`,
                    );
                if (isPinned !== false) return [];
                const fix = "pass the connection of components/load-balancer.ts, or set hostKey";
                const allowed = "connection.hostKey (and that of its proxy) is set";
                return broken(`${name} talks to any host`, allowed, fix);
            }),
    },
    // https://www.pulumi.com/docs/iac/concepts/options/deletebeforereplace/
    "create-before-delete": {
        description: "A droplet that is replaced is deleted after its successor serves, never before.",
        scope: "resource",
        check: ({ droplets }) =>
            droplets.flatMap(({ name, explicitName, deleteBeforeReplace: isFirst }) => {
                if (isFirst !== true && (explicitName !== true || isFirst === false)) return [];
                return broken(
                    isFirst
                        ? `${name} has deleteBeforeReplace: true`
                        : `${name} has a name of its own in the account, so the provider deletes before it creates`,
                    "droplets that are made before the old ones are deleted",
                    `leave \`name\` out (the engine makes one up), or give ${name} the option deleteBeforeReplace: false`,
                );
            }),
    },
} satisfies Record<string, Rule>;

export type RuleName = keyof typeof rules;

/** What breaks the rules, mandatory ones first, and what could not be judged since something is not known. */
export interface Verdict {
    violations: { rule: RuleName; advisory: boolean; text: string }[];
    unjudged: { rule: RuleName; why: string }[];
}

/** Holds what a change would make against the rules. */
export function checkRules(
    facts: Facts,
    limits: Limits,
    only: readonly RuleName[] = Object.keys(rules) as RuleName[],
): Verdict {
    const verdict: Verdict = { violations: [], unjudged: [] };
    for (const name of only) {
        const rule: Rule = rules[name];
        const advisory = limits.advisory.includes(name);
        const texts = rule.check(facts, limits, (why) => verdict.unjudged.push({ rule: name, why }));
        verdict.violations.push(...texts.map((text) => ({ rule: name, advisory, text })));
    }
    verdict.violations.sort((a, b) => Number(a.advisory) - Number(b.advisory));
    return verdict;
}

/** For a reader who sees nothing else: the value found, what is allowed, what to do. */
function broken(found: string, allowed: string, fix: string): string[] {
    return [`${found}; allowed: ${allowed}. To fix it: ${fix}.`];
}

function place(limit: keyof Limits, stack: string): string {
    return `\`${limit}\` in policy/limits.yaml (stacks: ${stack}: …)`;
}

function allowedSlugs(key: "size" | "region"): Rule["check"] {
    const limit = `${key}s` as const;
    return ({ droplets, stack }, { [limit]: allowed }, unknown) =>
        droplets.flatMap(({ name, [key]: slug }) => {
            if (allowed === "any") return [];
            if (slug === undefined) unknown(`the ${key} of ${name} is not known yet`);
            if (slug === undefined || allowed.includes(slug)) return [];
            const fix = `choose another ${key}, or add ${slug} to ${place(limit, stack)}`;
            return broken(`${name} has ${key} ${slug}`, allowed.join(", "), fix);
        });
}

function openSsh(facts: Facts, limits: Limits, unknown: Unknown): string[] {
    const { firewalls, sshFromAnywhere, stack } = facts;
    const mayConfirm = limits.sshFromAnywhere === "if-configured";
    const confirm = mayConfirm ? ", or confirm that you want this: dropscale:sshFromAnywhere" : "";
    return firewalls.flatMap(({ name, inbound }) => {
        if (!inbound) unknown(`the inbound rules of firewall ${name} are not known yet`);
        const open = openRanges((inbound ?? []).filter(admitsSsh));
        if (open.length === 0 || (sshFromAnywhere && mayConfirm)) return [];
        return broken(
            `firewall ${name} admits SSH from ${open.join(", ")}`,
            ownRanges,
            sshFromAnywhere
                ? `take dropscale:sshFromAnywhere out of the stack's config, or set ${place("sshFromAnywhere", stack)} to if-configured`
                : `name your own addresses in dropscale:adminCidrs${confirm}`,
        );
    });
}

function openBackends({ firewalls, droplets }: Facts, _limits: Limits, unknown: Unknown): string[] {
    // By their own names: of a component with outputs, a stack's policy sees these alone.
    const pool = droplets.filter((droplet) => !isLoadBalancer(droplet) && !isAdminHost(droplet));
    return firewalls.flatMap(({ name, tags, inbound }) => {
        if (!tags || !inbound || pool.some((droplet) => !droplet.tags)) {
            if (pool.length > 0) unknown(`whom firewall ${name} lets in to the servers is not known yet`);
            return [];
        }
        const open = openRanges(inbound);
        if (open.length === 0 || !pool.some((droplet) => droplet.tags?.some((tag) => tags.includes(tag))))
            return [];
        const fix = "name the hosts' own addresses, or a tag of theirs, in dropscale:backendSources";
        return broken(`firewall ${name} opens the servers to ${open.join(", ")}`, ownRanges, fix);
    });
}

function unguarded({ firewalls, droplets }: Facts, _limits: Limits, unknown: Unknown): string[] {
    return droplets.flatMap(({ name, tags }) => {
        const mayGuard = firewalls.filter(
            (one) => !tags || !one.tags || one.tags.some((tag) => tags.includes(tag)),
        );
        if (tags && mayGuard.some((firewall) => firewall.tags && firewall.inbound?.length)) return [];
        if (!tags || mayGuard.some((firewall) => !firewall.tags || !firewall.inbound)) {
            unknown(`whether a firewall holds for ${name} is not known yet`);
            return [];
        }
        return broken(
            `no firewall holds for ${name} (its tags: ${tags.join(", ") || "none"})`,
            "droplets with a tag of a firewall that has inbound rules",
            `give ${name} a tag of components/network.ts, or a firewall of its own by tag`,
        );
    });
}
