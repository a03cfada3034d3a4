import { networkInterfaces } from "node:os";
import { admittedVariable, parseUrn } from "../../lib/identity";
import { compareTexts } from "../cli/words";
import { readPulumiIn } from "./run";

/** What a resource is, in a state or in a preview; most of it is left out. Secrets read `[secret]`. */
export interface ResourceState {
    /** `false` for a component, which is nothing in the account. */
    custom?: boolean;
    id?: string;
    inputs?: Record<string, unknown>;
    outputs?: Record<string, unknown>;
    /** Inputs that it keeps as they are in the state, whatever the program says; `*` is all. */
    ignoreChanges?: string[] | null;
}

export interface PreviewStep {
    /** `create`, `update`, `replace`, `delete`, `same`, `import`, …; the Stack's own stands for the whole. */
    op: string;
    urn: string;
    type: string;
    name: string;
    before?: ResourceState;
    after?: ResourceState;
    differs: string[];
    /** Those of them for which it is replaced. */
    replacedFor: string[];
}

export interface PreviewDocument {
    /** The stack's config, defaults included, by key without its namespace; lists are JSON. */
    config: Record<string, string>;
    steps: PreviewStep[];
    /** Why there is nothing to apply, in the program's and the engine's own words; empty: it may be. */
    errors: string[];
    warnings: string[];
}

interface RawStep {
    op: string;
    urn: string;
    oldState?: ResourceState;
    newState?: ResourceState;
    diffReasons?: string[] | null;
    replaceReasons?: string[] | null;
}

interface RawPreview {
    config?: Record<string, string>;
    steps?: RawStep[];
    diagnostics?: { severity: string; message: string }[];
}

/** Orders things of the engine, whose lists come as its parallel work ended: another order each time. */
export const byUrn = (a: { urn: string }, b: { urn: string }): number => compareTexts(a.urn, b.urn);

/**
 * Reads what `pulumi preview --json` printed. Of the diagnostics only errors and warnings: debug messages hold secrets.
 * All lists are sorted.
 */
export function parsePreview(json: string): PreviewDocument {
    const { config = {}, steps = [], diagnostics = [] } = JSON.parse(json) as RawPreview;
    const messages = (severity: string) =>
        diagnostics
            .filter((diagnostic) => diagnostic.severity === severity)
            .map(({ message }) => message.trim().replace(/^(error|warning): /, ""))
            .sort(compareTexts);
    return {
        config: Object.fromEntries(
            Object.entries(config).map(([key, value]) => [key.slice(key.indexOf(":") + 1), value]),
        ),
        steps: steps.toSorted(byUrn).map(({ op, urn, oldState, newState, diffReasons, replaceReasons }) => ({
            op,
            urn,
            ...parseUrn(urn),
            ...(oldState && { before: oldState }),
            ...(newState && { after: newState }),
            differs: (diffReasons ?? []).toSorted(compareTexts),
            replacedFor: (replaceReasons ?? []).toSorted(compareTexts),
        })),
        errors: messages("error"),
        warnings: messages("warning"),
    };
}

/**
 * What `pulumi preview`, or `refresh --preview-only`, prints. Neither dials the load balancer, so either may run on a machine
 * that `adminCidrs` does not hold: the program, which would refuse it, sees it as admitted.
 */
export function runPreview(...args: string[]): Promise<string> {
    const own = Object.values(networkInterfaces())
        .flatMap((addresses = []) => addresses)
        .filter(({ family, internal }) => family === "IPv4" && !internal)
        .map(({ address }) => `${address}/32`);
    const admitted = [process.env[admittedVariable] ?? "", ...own].join(",");
    return readPulumiIn({ ...process.env, [admittedVariable]: admitted }, ...args);
}

/**
 * Runs `pulumi preview --json`; what it prints stays in memory. A refused config is no error here: see `errors`.
 *
 * @param command `refresh` with `--preview-only` prints a document of the same form.
 * @throws Error in pulumi's own words where it did not come as far as the program.
 */
export async function readPreviewDocument(
    options: readonly string[],
    command: "preview" | "refresh" = "preview",
): Promise<PreviewDocument> {
    try {
        return parsePreview(await runPreview(command, "--json", ...options));
    } catch (error) {
        const { stdout = "" } = (error as { cause?: { stdout?: string } }).cause ?? {};
        const refused = parsedOrNone(stdout);
        if (!refused?.errors.length) throw error;
        return refused;
    }
}

/** V8's own message would repeat a part of a document that holds secrets. */
function parsedOrNone(json: string): PreviewDocument | undefined {
    try {
        return parsePreview(json);
    } catch {
        return undefined;
    }
}

/**
 * One form for what two engines, or two runs of one, write differently: of all that this program makes, lists are sets
 * to the provider, which keeps them in an order of its own; and it may say "none" by `null`, `""`, an empty list or
 * nothing. Two values are the same to it if their canonical forms are equal.
 */
export function canonical(value: unknown): unknown {
    if (Array.isArray(value)) {
        const items = value.map(canonical).filter((item) => !isNone(item));
        return items.toSorted((a, b) => compareTexts(JSON.stringify(a), JSON.stringify(b)));
    }
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([key, part]) => [key, canonical(part)] as const);
    const given = entries.filter(([, part]) => !isNone(part));
    return Object.fromEntries(given.toSorted(([a], [b]) => compareTexts(a, b)));
}

function isNone(value: unknown): boolean {
    return (
        value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0)
    );
}
