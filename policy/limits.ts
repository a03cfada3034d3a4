import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { isObject } from "../lib/object-rules";
import { type Limits, rules } from "./rules";

interface Form {
    allowed: string;
    accepts: (value: unknown) => boolean;
}

const ruleIds = Object.keys(rules);
const slugs: Form = {
    allowed: "any, or a list of slugs such as [fra1]",
    accepts: (value) =>
        value === "any" ||
        (Array.isArray(value) && value.length > 0 && value.every((v) => typeof v === "string")),
};
const forms: Record<keyof Limits, Form> = {
    minReplicas: wholeNumber(0, 1000),
    maxReplicas: wholeNumber(0, 1000),
    maxShrinkPercent: wholeNumber(0, 100),
    maxMonthlyCostUsd: {
        allowed: "an amount of USD above 0",
        accepts: (value) => typeof value === "number" && value > 0,
    },
    sizes: slugs,
    regions: slugs,
    sshFromAnywhere: {
        allowed: "if-configured or never",
        accepts: (value) => value === "if-configured" || value === "never",
    },
    advisory: {
        allowed: `a list of rules, of ${ruleIds.join(", ")}`,
        accepts: (value) => Array.isArray(value) && value.every((id) => ruleIds.includes(String(id))),
    },
};

export const limitsFile = join(__dirname, "limits.yaml");

/** What a stack may have of its own: Pulumi asks a policy pack what is advisory before it names the stack. */
const ownForms = Object.fromEntries(Object.entries(forms).filter(([key]) => key !== "advisory"));

/** The limits of a stack, from {@link limitsFile}. @throws as {@link parseLimits} */
export function readLimits(stack: string): Limits {
    return parseLimits(readFileSync(limitsFile, "utf8"), stack);
}

/**
 * The limits of one stack: those of every stack, and over them its own.
 *
 * @throws Error that lists every mistake of the file, those of other stacks too: what was found, what is allowed.
 */
export function parseLimits(yaml: string, stack: string): Limits {
    let file: unknown;
    try {
        file = parse(yaml);
    } catch (error) {
        throw new Error(`policy/limits.yaml is no YAML: ${(error as Error).message}`, { cause: error });
    }
    if (!isObject(file) || !isObject(file.limits))
        throw new Error("policy/limits.yaml should have `limits:` with a value for each limit");
    const { limits, stacks, ...others } = file;
    const problems = Object.keys(others).map((key) => `'${key}' should be limits or stacks`);
    problems.push(...mistakes("limits", limits, forms, "required"));
    if (!isObject(stacks ?? {})) problems.push(`'stacks' should hold limits by the name of a stack`);
    for (const [name, own] of Object.entries(isObject(stacks) ? stacks : {})) {
        if (isObject(own)) problems.push(...mistakes(`stacks.${name}`, own, ownForms));
        else problems.push(`'stacks.${name}' should hold limits, got ${JSON.stringify(own)}`);
    }
    if (problems.length > 0) throw new Error(["policy/limits.yaml is wrong:", ...problems].join("\n  "));
    const own = (stacks as Record<string, object> | undefined)?.[stack];
    const merged = { ...limits, ...own } as unknown as Limits;
    if (merged.minReplicas > merged.maxReplicas)
        throw new Error(
            `policy/limits.yaml: stack ${stack} can't have at least ${merged.minReplicas} servers (minReplicas) ` +
                `and at most ${merged.maxReplicas} (maxReplicas)`,
        );
    return merged;
}

function mistakes(
    where: string,
    values: Record<string, unknown>,
    forms: Readonly<Record<string, Form>>,
    required?: "required",
): string[] {
    const unknown = Object.keys(values).filter((key) => !(key in forms));
    const wrong = Object.entries(forms).filter(([key, { accepts }]) =>
        key in values ? !accepts(values[key]) : required,
    );
    return [
        ...unknown.map(
            (key) => `'${where}.${key}' is no limit here; there are ${Object.keys(forms).join(", ")}`,
        ),
        ...wrong.map(
            ([key, { allowed }]) =>
                `'${where}.${key}' should be ${allowed}, got ${key in values ? JSON.stringify(values[key]) : "nothing"}`,
        ),
    ];
}

function wholeNumber(min: number, max: number): Form {
    return {
        allowed: `a whole number from ${min} to ${max}`,
        accepts: (value) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
    };
}
