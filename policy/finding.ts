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

/** For a reader who sees nothing else: the value found, what is allowed, what to do. */
export function describeFinding({ found, allowed, fix }: Finding): string {
    return `${found}; allowed: ${allowed}. To mend it: ${fix}.`;
}

/** Where a limit of a stack stands. */
export const place = (limit: keyof Limits, stack: string) =>
    `\`${limit}\` in policy/limits.yaml (stacks: ${stack}: …)`;
export const raise = (limit: keyof Limits, stack: string) => `raise ${place(limit, stack)}`;
export const lower = (limit: keyof Limits, stack: string) => `lower ${place(limit, stack)}`;
