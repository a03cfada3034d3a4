import { parseUrn, resourceOf, types } from "../lib/identity";
import { isObject } from "../lib/object-rules";

/** A droplet as it will be. As in all facts, `undefined` is what is not known yet: it is decided while the change runs. */
export interface DropletFacts {
    name: string;
    size: string | undefined;
    region: string | undefined;
    tags: readonly string[] | undefined;
    /** Whether the program chose its name in the account; the provider's own choice is `<name>-<7 hex digits>`. */
    explicitName: boolean | undefined;
    /** The resource option, where the program sets it and it can be seen. */
    deleteBeforeReplace?: boolean;
}

export interface InboundRule {
    protocol: string;
    /** `22`, `8000-9000`; `all`, `0` and none are every port. */
    portRange?: string;
    sourceAddresses?: readonly string[];
}

export interface FirewallFacts {
    name: string;
    /** It holds for every droplet with one of these. */
    tags: readonly string[] | undefined;
    inbound: readonly InboundRule[] | undefined;
}

/** What the rules judge: one resource, or all of a stack, as they will be after the change. */
export interface Facts {
    stack: string;
    /** Names of the servers; `undefined` where no pool is among the resources. */
    servers: readonly string[] | undefined;
    /** Before the change: a policy pack sees only what will be. */
    serversBefore?: readonly string[];
    monthlyCost: number | undefined;
    sshFromAnywhere: boolean | undefined;
    droplets: readonly DropletFacts[];
    firewalls: readonly FirewallFacts[];
    /** Commands over SSH, and whether each refuses any host but one with its key. */
    remoteCommands: readonly { name: string; hostKeyPinned: boolean | undefined }[];
}

/** A resource as the engine tells of it, in a policy pack and in `pulumi preview --json` alike. */
export interface EngineResource {
    urn: string;
    /** Inputs, or outputs where the resource has been made; {@link unknownValue} for what is not known yet. */
    properties: Readonly<Record<string, unknown>>;
    deleteBeforeReplace?: boolean;
}

/** What the engine writes for a value that is not known yet: `UnknownStringValue` in the Pulumi SDK. */
export const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
/** What the engine's JSON has in place of a secret: it is not known there either. */
const maskedSecret = "[secret]";

/**
 * Facts from what the engine says of resources, after the change.
 *
 * @param resources At least one; those that are deleted left out.
 */
export function factsOf(unsorted: readonly EngineResource[]): Facts {
    // As the engine lists them: as its parallel work ended.
    const resources = unsorted.toSorted((a, b) => (a.urn < b.urn ? -1 : 1));
    const ofType = (type: string) => resources.filter(({ urn }) => parseUrn(urn).type === type);
    const pool = ofType(types.pool)[0];
    const network = ofType(types.network)[0];
    const stack = ofType(types.stack)[0];
    const servers = known(pool?.properties.servers);
    return {
        stack: parseUrn(resources[0]?.urn ?? "").stack,
        servers: isObject(servers) ? Object.keys(servers) : undefined,
        monthlyCost: numberOf(stack?.properties.monthlyCost),
        // A key that the program leaves out where it is false.
        sshFromAnywhere: network && known(network.properties.sshFromAnywhere ?? false) === true,
        droplets: ofType(types.droplet).map(dropletFacts),
        firewalls: ofType(types.firewall).map(({ urn, properties }) => ({
            name: parseUrn(urn).name,
            tags: listOf(properties.tags) as string[] | undefined,
            inbound: listOf(properties.inboundRules) as InboundRule[] | undefined,
        })),
        remoteCommands: resources
            .filter(({ urn }) => parseUrn(urn).type.startsWith("command:remote:"))
            .map(({ urn, properties }) => ({
                name: parseUrn(urn).name,
                hostKeyPinned: isPinned(known(properties.connection)),
            })),
    };
}

function dropletFacts({ urn, properties, deleteBeforeReplace }: EngineResource): DropletFacts {
    const logical = parseUrn(urn).name;
    const name = textOf(properties.name);
    return {
        name: logical,
        size: textOf(properties.size),
        region: textOf(properties.region),
        tags: listOf(properties.tags) as string[] | undefined,
        explicitName:
            properties.name !== undefined && (name === undefined ? undefined : resourceOf(name) !== logical),
        deleteBeforeReplace,
    };
}

/** The jump host's key counts as well: without it, whoever sits there sees and changes everything. */
function isPinned(connection: unknown): boolean | undefined {
    if (!isObject(connection)) return undefined;
    const hops = connection.proxy ? [connection, connection.proxy] : [connection];
    const pins = hops.map((hop) => {
        const key = isObject(hop) ? hop.hostKey : undefined;
        return key === undefined || key === "" ? false : known(key) === undefined ? undefined : true;
    });
    return pins.includes(false) ? false : pins.includes(undefined) ? undefined : true;
}

const known = (value: unknown): unknown =>
    value === unknownValue || value === maskedSecret ? undefined : value;
const textOf = (value: unknown): string | undefined =>
    typeof known(value) === "string" ? (value as string) : undefined;
const numberOf = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);

/** A list whose every part is known; none at all is an empty one. */
function listOf(value: unknown): unknown[] | undefined {
    if (value === undefined || value === null) return [];
    return Array.isArray(value) && !hasUnknown(value) ? value : undefined;
}

function hasUnknown(value: unknown): boolean {
    if (known(value) === undefined && value !== undefined) return true;
    if (Array.isArray(value)) return value.some(hasUnknown);
    return isObject(value) && Object.values(value).some(hasUnknown);
}
