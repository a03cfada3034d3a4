/** What we read of a workflow, or of a composite action. */
export interface Workflow {
    on?: unknown;
    permissions?: unknown;
    jobs?: Record<string, Job>;
    runs?: { steps: Step[] };
}
interface Job {
    permissions?: unknown;
    concurrency?: { group?: string; "cancel-in-progress"?: unknown; queue?: unknown };
    "timeout-minutes"?: number;
    env?: Record<string, string>;
    steps: Step[];
}
interface Step {
    uses?: string;
    run?: string;
    if?: string;
    with?: Record<string, unknown>;
    env?: Record<string, string>;
}

/** Commands that change a stack, or reach into its load balancer. */
const acting = /tools\/main\.ts (deploy|rollout|drift)/;
const has = (step: Step, text: string) => step.run?.includes(text) ?? false;

/**
 * Rules that actionlint does not have. Each takes a workflow and names what breaks it.
 * https://docs.github.com/en/actions/reference/security/secure-use
 */
const rules: Record<string, (workflow: Workflow) => string[]> = {
    "every action is pinned by its commit": (workflow) =>
        stepsOf(workflow).flatMap(({ uses }) =>
            uses === undefined || uses.startsWith("./") || /^[\w.-]+\/[\w./-]+@[0-9a-f]{40}$/.test(uses)
                ? []
                : [uses],
        ),
    "no pull_request_target, which gives a fork's code our secrets": ({ on }) =>
        JSON.stringify(on ?? {}).includes("pull_request_target") ? ["on"] : [],
    "permissions are read-only unless a job says otherwise": ({ permissions, jobs }) =>
        jobs && JSON.stringify(permissions) !== '{"contents":"read"}' ? [JSON.stringify(permissions)] : [],
    "a job that may write on the forge has one permission to write, and no secret if it runs a pull request":
        ({ jobs = {}, on }) =>
            Object.entries(jobs).flatMap(([name, job]) => {
                const writes = Object.entries((job.permissions ?? {}) as Record<string, string>).filter(
                    ([, level]) => level !== "read",
                );
                const secrets = JSON.stringify(job).includes("secrets.");
                const pulls = JSON.stringify(on).includes("pull_request");
                return writes.length > 1 || (writes.length > 0 && secrets && pulls) ? [name] : [];
            }),
    "every job ends in time": ({ jobs = {} }) =>
        Object.entries(jobs).flatMap(([name, job]) => ((job["timeout-minutes"] ?? 0) > 0 ? [] : [name])),
    "no expression inside a script: its text may be anybody's": (workflow) =>
        stepsOf(workflow).flatMap(({ run = "" }) => (run.includes("${{") ? [run] : [])),
    "secrets are in the environment of single steps only": ({ jobs = {} }) =>
        Object.entries(jobs).flatMap(([name, { env = {} }]) =>
            JSON.stringify(env).includes("secrets.") ? [name] : [],
        ),
    "what a pull request runs gets secrets of its own, PREVIEW_…, and never another's": ({
        on,
        jobs = {},
    }) => {
        if (!JSON.stringify(on ?? {}).includes(`"pull_request"`)) return [];
        // `secrets[…]` and `toJSON(secrets)` name none.
        const named = [...JSON.stringify(jobs).matchAll(/\$\{\{[^}]*?\bsecrets\b\.?(\w*)/g)];
        return named.map(([, name = ""]) => name).filter((name) => !name.startsWith("PREVIEW_"));
    },
    "no token stays behind in the clone": (workflow) =>
        stepsOf(workflow).flatMap((step) =>
            step.uses?.startsWith("actions/checkout@") && step.with?.["persist-credentials"] !== false
                ? [step.uses]
                : [],
        ),
    "no install script runs": (workflow) =>
        stepsOf(workflow).flatMap(({ run = "" }) =>
            /npm (ci|install|i)\b/.test(run) && !run.includes("--ignore-scripts") ? [run] : [],
        ),
    "what acts on a stack is alone, never cancelled, and no waiting run is lost": ({ jobs = {} }) =>
        Object.entries(jobs).flatMap(([name, { concurrency, steps }]) => {
            if (!steps.some(({ run = "" }) => acting.test(run))) return [];
            const alone = /^stack-\$\{\{ (matrix|inputs)\.stack \}\}$/.test(concurrency?.group ?? "");
            const kept = concurrency?.["cancel-in-progress"] === false && concurrency.queue === "max";
            return alone && kept ? [] : [name];
        }),
    "what acts on a stack is admitted before and, whatever happens, not after": ({ jobs = {} }) =>
        Object.entries(jobs).flatMap(([name, { steps }]) => {
            const act = steps.findIndex(({ run = "" }) => acting.test(run));
            const admit = steps.findIndex(
                (step) => has(step, "tools/main.ts admit") && has(step, "$GITHUB_ENV"),
            );
            const remove = steps.findIndex((step) => has(step, "--remove") && step.if === "always()");
            return act < 0 || (admit >= 0 && admit < act && act < remove) ? [] : [name];
        }),
};

function stepsOf({ jobs = {}, runs }: Workflow): Step[] {
    return [...(runs?.steps ?? []), ...Object.values(jobs).flatMap(({ steps }) => steps)];
}

/** The rules that a workflow breaks, each with what breaks it. */
export function brokenRules(workflow: Workflow): string[] {
    return Object.entries(rules).flatMap(([rule, check]) =>
        check(workflow).map((what) => `${rule}: ${what}`),
    );
}

/** How many rules there are. */
export const ruleCount = Object.keys(rules).length;
