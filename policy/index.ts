import { type Policies, PolicyPack, type PolicyResourceOptions } from "@pulumi/policy";
import { RunError } from "@pulumi/pulumi";
import { type EngineResource, factsOf, unknownValue } from "./facts";
import { readLimits } from "./limits";
import { checkRules, type Limits, type RuleName, rules } from "./rules";

/** What the policy SDK hands over, of a resource or of each of a stack's. */
interface Judged {
    urn: string;
    props: Record<string, unknown>;
    opts: PolicyResourceOptions;
}

const advisory = advisoryRules();

/** Limits by stack: every resource is judged by several rules, and the file does not change meanwhile. */
const limits = new Map<string, Limits>();

function limitsOf(stack: string): Limits {
    const found = limits.get(stack) ?? readLimits(stack);
    limits.set(stack, found);
    return found;
}

/**
 * The rules for Pulumi's own policy engine. It sees what will be, not what there was: `max-shrink` is judged by
 * `make plan` alone.
 */
const policies: Policies = (Object.keys(rules) as RuleName[]).map((name) => {
    const policy = {
        name,
        description: rules[name].description,
        enforcementLevel: advisory.includes(name) ? "advisory" : "mandatory",
    } as const;
    const violations = (judged: readonly Judged[]) => {
        const facts = factsOf(judged.map(resourceState));
        const verdict = checkRules(facts, limitsOf(facts.stack), [name]);
        for (const { why } of verdict.unjudged) console.log(`policy ${name}: not judged: ${why}`);
        return verdict.violations.map(({ text }) => text);
    };
    return rules[name].scope === "resource"
        ? {
              ...policy,
              validateResource: (judged, report) => {
                  for (const words of violations([judged])) report(words);
              },
          }
        : {
              ...policy,
              validateStack: ({ resources }, report) => {
                  for (const words of violations(resources)) report(words);
              },
          };
});

/** @throws RunError, which the engine shows without a stack trace, if limits.yaml is wrong. */
function advisoryRules(): readonly string[] {
    try {
        return readLimits("").advisory;
    } catch (error) {
        throw new RunError((error as Error).message);
    }
}

/** Inputs by URN: of a component, a stack's view has the outputs alone. */
const inputs = new Map<string, EngineResource["properties"]>();

function resourceState({ urn, props, opts }: Judged): EngineResource {
    const own = plain(() => props) as Record<string, unknown>;
    // Each resource is judged alone first, when there are only inputs.
    const properties = { ...inputs.get(urn), ...own };
    inputs.set(urn, properties);
    return { urn, properties, deleteBeforeReplace: opts.deleteBeforeReplace };
}

/** A copy without the proxies that throw where a value is not known yet. */
function plain(read: () => unknown): unknown {
    let value: unknown;
    try {
        value = read();
    } catch {
        return unknownValue;
    }
    if (Array.isArray(value)) {
        const list = value as unknown[];
        return Array.from({ length: list.length }, (_, index) => plain(() => list[index]));
    }
    if (typeof value !== "object" || value === null) return value;
    const record = value as Record<string, unknown>;
    return Object.fromEntries(Object.keys(record).map((key) => [key, plain(() => record[key])]));
}

new PolicyPack("dropscale", { policies });
