import { commandNames, isLoadBalancer, parseUrn, types } from "../../lib/identity";
import { unknownValue } from "../../policy/facts";
import { compareTexts } from "../cli/words";
import { byUrn, type ResourceState } from "./preview";
import { readPulumi } from "./run";

export interface Deployment {
    resources?: { type: string; id?: string; urn?: string }[];
    pending_operations?: {
        type: string;
        resource: { urn: string; id?: string; inputs?: { name?: unknown } };
    }[];
}

export interface StateResource extends ResourceState {
    urn: string;
    type: string;
    name: string;
}

/** A resource that another one of the same name has replaced, and that is still to be deleted: an `up` was cut off. */
export type Leftover = StateResource & { id: string };

export interface StackState {
    resources: StateResource[];
    /** No `preview --json` shows these; the next `up` deletes them. */
    leftovers: Leftover[];
    /** What killed runs were doing, such as `creating web-3-2bc9182`. */
    pending: string[];
}

/** As `pulumi stack export` has it. */
export type ExportedResource = Omit<StateResource, "name"> & { delete?: boolean };

type Exported = Omit<Deployment, "resources"> & { resources?: ExportedResource[] };

export function parseState(json: string): StackState {
    const { deployment } = JSON.parse(json, maskSecret) as { deployment: Exported | null };
    const all = (deployment?.resources ?? []).toSorted(byUrn);
    const named = all.map((resource) => ({ ...resource, ...parseUrn(resource.urn) }));
    return {
        resources: named.filter((resource) => !resource.delete),
        leftovers: named
            .filter((resource) => resource.delete)
            .map((resource) => ({ ...resource, id: resource.id ?? "" })),
        pending: pendingOf(deployment ?? {}),
    };
}

/** How the state keeps a secret. https://github.com/pulumi/pulumi (sdk/go/common/resource/sig) */
const secretSignature = "4dabf18193072939515e22adb298388d";

/** A preview writes the same in a secret's place. */
function maskSecret(_key: string, value: unknown): unknown {
    return value !== null && typeof value === "object" && secretSignature in value ? "[secret]" : value;
}

/** haproxy.cfg as a state has it: the text staged last, and whether that one has been applied to the end. */
export interface StagedHaproxy {
    text: string;
    /** `false`: a run ended in between. HAProxy runs this text or the one before; the next `up` applies one in any case. */
    applied: boolean;
}

/** @returns `undefined` where the state has none, or does not know its text. */
export function stagedHaproxy(
    resources: readonly Pick<StateResource, "type" | "name" | "inputs" | "outputs">[],
): StagedHaproxy | undefined {
    const names = commandNames();
    const [staged, applied] = [names.staged, names.applied].map((command) =>
        resources.find(({ type, name }) => type === types.remoteCommand && name === command),
    );
    const [text, word, command] = [staged?.inputs?.stdin, staged?.outputs?.stdout, applied?.inputs?.create];
    if (typeof text !== "string" || text === unknownValue) return undefined;
    const isApplied =
        typeof word === "string" && typeof command === "string" && command.includes(` ${word.trim()} `);
    return { text, applied: isApplied };
}

/** @throws Error in pulumi's own words, where there is no such stack among others. */
export async function readState(stack: string): Promise<StackState> {
    return parseState(await readPulumi("stack", "export", "--stack", stack));
}

/** `creating web-3-2bc9182`: what a killed run was doing. */
export function pendingOf({ pending_operations: pending = [] }: Deployment): string[] {
    const texts = pending.map(({ type, resource: { urn, inputs } }) => {
        const name = inputs?.name;
        return `${type} ${typeof name === "string" ? name : parseUrn(urn).name}`;
    });
    return texts.sort(compareTexts);
}

/** Names in the account of the droplets that a state has as being made. */
export function dropletsInTheMaking({ pending_operations: pending = [] }: Deployment): ReadonlySet<string> {
    const made = pending.filter(
        ({ type, resource: { urn } }) => type === "creating" && parseUrn(urn).type === types.droplet,
    );
    return new Set(
        made.flatMap(({ resource: { inputs } }) => (typeof inputs?.name === "string" ? [inputs.name] : [])),
    );
}

export function loadBalancersOf({ resources = [] }: Deployment): ReadonlySet<string> {
    return new Set(
        resources.flatMap(({ urn = "", id }) => (isLoadBalancer(parseUrn(urn)) && id ? [id] : [])),
    );
}
