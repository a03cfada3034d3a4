import { generateKeyPairSync } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { MockMonitor, type MockResourceArgs } from "@pulumi/pulumi/runtime/mocks";
import { require as requireTypeScript } from "tsx/cjs/api";
import { stackConfig } from "./stack-config";

/** One registration that the program made. */
export interface Registration {
    type: string;
    name: string;
    inputs: Record<string, unknown>;
    /** URN of the component it lies in. */
    parent: string;
    /** Names of what it waits for. */
    dependsOn: string[];
    options: {
        replaceOnChanges: string[];
        ignoreChanges: string[];
        additionalSecretOutputs: string[];
        /** Said by the program; `undefined` leaves it to the provider. */
        deleteBeforeReplace: boolean | undefined;
        retainOnDelete: boolean;
        importId: string;
    };
}

/** What the engine's protocol carries of a registration (RegisterResourceRequest), as far as tests look at it. */
interface RegisterRequest {
    getType(): string;
    getName(): string;
    getParent(): string;
    getDependenciesList(): string[];
    getReplaceonchangesList(): string[];
    getIgnorechangesList(): string[];
    getAdditionalsecretoutputsList(): string[];
    getDeletebeforereplace(): boolean;
    getDeletebeforereplacedefined(): boolean;
    getRetainondelete(): boolean;
    getImportid(): string;
}

/** A program; what it returns are the stack's outputs. */
type Program = () => Promise<Record<string, unknown>>;

export interface RunOptions {
    /** Changes to the defaults of Pulumi.yaml. */
    config?: Record<string, unknown>;
    stack?: string;
    /** A preview: what only a created resource knows is unknown. @default false */
    preview?: boolean;
    /** The region's default VPC. @default one that is not ours */
    defaultVpc?: { id: string; name: string };
    /** What the provider says to every question, as where the token is wrong. @default it answers */
    refusal?: string;
    /** The region has no VPC at all. @default false */
    noVpc?: boolean;
    /** What the account has already. @default nothing */
    droplets?: { id?: number; size: string; image: string; tags: string[] }[];
    /** Tags that the account has. @default none */
    tags?: string[];
    /** Zones that the account has, with their records. @default none */
    zones?: Record<string, { type: string; name: string; value: string }[]>;
    /** Ids of the droplets that reserved IPs lead to. @default none */
    reservedIps?: Record<string, number>;
    /** What runs. @default index.ts */
    program?: Program;
}

export interface Run {
    registrations: Registration[];
    /** The stack's outputs; `undefined` where unknown. */
    outputs: Record<string, unknown>;
    /** The outputs that are secret. */
    secrets: string[];
    /** The one registration of that name and type. */
    find: (type: string, name: string) => Registration;
}

/** A key pair in the form that ssh-keygen prints, with no key in it. */
export const keyPairText = (name: string): string =>
    `-----BEGIN OPENSSH PRIVATE KEY-----\nprivate-${name}\n-----END OPENSSH PRIVATE KEY-----\nssh-ed25519 AAAA-${name} comment`;

/** An authority's account key. */
const accountKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
    type: "pkcs8",
    format: "pem",
});

/** What the API and the commands would answer. Addresses are loopback's, so that no test can dial out. */
function createdState({ type, name, inputs }: MockResourceArgs): Record<string, unknown> {
    const given = inputs as Record<string, unknown>;
    const number = numberOf(name) % 250;
    switch (type) {
        case "digitalocean:index/droplet:Droplet":
            return { ...given, ipv4Address: `127.64.0.${number}`, ipv4AddressPrivate: `10.114.0.${number}` };
        case "digitalocean:index/reservedIp:ReservedIp":
            return { ...given, ipAddress: "127.64.1.1" };
        case "command:local:Command":
            if (name.endsWith("-sent")) return { ...given, stdout: "1-0123abcd-0123456789abcdef" };
            return { ...given, stdout: name.endsWith("-account") ? accountKey : keyPairText(name) };
        case "command:remote:Command":
            return { ...given, stdout: name.endsWith("-staged") ? "1-0123abcd" : "" };
        default:
            return given;
    }
}

/** What the account offers. */
export const sizes = [
    {
        slug: "s-1vcpu-1gb",
        memory: 1024,
        disk: 25,
        priceMonthly: 6,
        available: true,
        regions: ["fra1", "nyc3"],
    },
    { slug: "s-1vcpu-2gb", memory: 2048, disk: 50, priceMonthly: 12.5, available: true, regions: ["fra1"] },
    { slug: "g-2vcpu-8gb", memory: 8192, disk: 25, priceMonthly: 63, available: true, regions: ["nyc3"] },
];

// The SDK's mock monitor says that it has error hooks, and lacks the method.
Object.assign(MockMonitor.prototype, {
    registerErrorHook: (_request: unknown, callback: (error: null, response: object) => void) => {
        callback(null, {});
    },
});

/** Another one, which an admin host has. */
const nextDebian = "debian-13-x64";

/** An image that the account has. */
export const debian = {
    id: 7,
    slug: "debian-12-x64",
    name: "12 x64",
    private: false,
    regions: ["fra1", "nyc3"],
    minDiskSize: 10,
    status: "available",
};

interface CallInputs {
    id?: string | number;
    slug?: string;
    name?: string;
    domain?: string;
    ipAddress?: string;
}

/** What a data source says. */
function answer(
    token: string,
    { id, slug, name = "", domain = "", ipAddress = "" }: CallInputs,
    options: RunOptions,
): Record<string, unknown> {
    // The SDK reads `details` of an error of the engine's protocol.
    const refuse = (details: string) => Object.assign(new Error(details), { details });
    if (options.refusal !== undefined) throw refuse(options.refusal);
    switch (token.split(":")[2]) {
        case "getSizes":
            return { sizes };
        case "getAccount":
            return { dropletLimit: 10 };
        case "getDroplets":
            return { droplets: options.droplets ?? [] };
        case "getImages":
            return { images: [debian] };
        case "getImage":
            if (slug !== debian.slug && slug !== nextDebian)
                throw refuse(`image not found: GET http://api/v2/images/${slug}: 404 none`);
            return { ...debian, slug };
        case "getDomain":
            if (!options.zones?.[name])
                throw refuse(`domain not found: GET http://api/v2/domains/${name}: 404 none`);
            return { name };
        case "getRecords":
            return { records: options.zones?.[domain] ?? [] };
        case "getReservedIp": {
            const dropletId = options.reservedIps?.[ipAddress];
            if (dropletId === undefined)
                throw refuse(`reserved ip not found: GET http://api/v2/reserved_ips/${ipAddress}: 404 none`);
            return { ipAddress, dropletId };
        }
        case "getTag":
            if (!options.tags?.includes(name))
                throw refuse(`tag not found: GET http://api/v2/tags/${name}: 404 none`);
            return { name };
        case "getVpc":
            if (id !== undefined) return { id, name: "given", region: "fra1" };
            if (options.noVpc) throw refuse("unable to find default VPC in fra1 region");
            return options.defaultVpc ?? { id: "vpc-of-others", name: "default-fra1" };
        default:
            throw new Error(`unexpected call of ${token}`);
    }
}

/** Runs the program against mocks, from config to outputs. */
export async function runProgram(options: RunOptions = {}): Promise<Run> {
    const { stack = "dev", preview = false } = options;
    const registrations: Registration[] = [];
    const inputsByName = new Map<string, Record<string, unknown>>();
    await pulumi.runtime.setMocks(
        {
            newResource: (args) => {
                inputsByName.set(`${args.type} ${args.name}`, args.inputs as Record<string, unknown>);
                if (preview && args.custom)
                    return { id: undefined, state: args.inputs as Record<string, unknown> };
                return { id: idOf(args), state: createdState(args) };
            },
            call: ({ token, inputs }) => answer(token, inputs as CallInputs, options),
        },
        "dropscale",
        stack,
        preview,
    );
    // The root of all resources, which the program's transformation needs; a program that throws in it would not be caught.
    await pulumi.runtime.runInPulumiStack(() => Promise.resolve({}));
    const config = Object.entries(stackConfig(options.config));
    pulumi.runtime.setAllConfig(
        Object.fromEntries(config.map(([key, value]) => [`dropscale:${key}`, value])),
    );
    const stopRecording = recordRegistrations((request) => {
        const name = `${request.getType()} ${request.getName()}`;
        registrations.push(registrationOf(request, inputsByName.get(name) ?? {}));
    });
    // No host is asked for its key: `ssh-keyscan` is not found.
    const { PATH } = process.env;
    process.env.PATH = "/nonexistent";
    try {
        const program = options.program ?? (requireTypeScript("../index.ts", __filename) as Program);
        const outputs = await program();
        const secrets: string[] = [];
        const values: Record<string, unknown> = {};
        for (const [key, output] of Object.entries(outputs)) {
            const resolved = pulumi.output(output);
            values[key] = await known(resolved);
            if (await pulumi.isSecret(resolved)) secrets.push(key);
        }
        await pulumi.runtime.disconnect();
        return { registrations, outputs: values, secrets, find: finder(registrations) };
    } finally {
        process.env.PATH = PATH;
        stopRecording();
    }
}

/** Droplets have numbers as ids, all else has text. */
function idOf({ type, name }: MockResourceArgs): string {
    return type.endsWith(":Droplet") ? String(1000 + numberOf(name)) : `${name}-id`;
}

/** Some number of its own for every name that tests use. */
function numberOf(name: string): number {
    return Buffer.from(name).reduce((sum, byte) => sum + byte, 0);
}

/** The value of an output, `undefined` if it is unknown: waiting for that would last for ever. */
async function known(output: pulumi.Output<unknown>): Promise<unknown> {
    const { isKnown } = output as unknown as { isKnown: Promise<boolean> };
    return (await isKnown) ? new Promise((resolve) => output.apply(resolve)) : undefined;
}

/** Mocks hand out inputs alone; options and dependencies stand only in the request to the engine. */
function recordRegistrations(record: (request: RegisterRequest) => void): () => void {
    // oxlint-disable-next-line typescript/unbound-method -- called with its monitor below
    const original = MockMonitor.prototype.registerResource;
    MockMonitor.prototype.registerResource = async function (request: RegisterRequest, callback) {
        await original.call(this, request, callback);
        record(request);
    };
    return () => {
        MockMonitor.prototype.registerResource = original;
    };
}

const nameOf = (urn: string): string => urn.split("::").at(-1) ?? urn;

function registrationOf(request: RegisterRequest, inputs: Record<string, unknown>): Registration {
    return {
        type: request.getType(),
        name: request.getName(),
        inputs,
        parent: request.getParent(),
        dependsOn: request.getDependenciesList().map(nameOf).sort(),
        options: {
            replaceOnChanges: request.getReplaceonchangesList(),
            ignoreChanges: request.getIgnorechangesList(),
            additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
            deleteBeforeReplace: request.getDeletebeforereplacedefined()
                ? request.getDeletebeforereplace()
                : undefined,
            retainOnDelete: request.getRetainondelete(),
            importId: request.getImportid(),
        },
    };
}

function finder(registrations: readonly Registration[]): Run["find"] {
    return (type, name) => {
        const found = registrations.filter((r) => r.type.endsWith(type) && r.name === name);
        const [one] = found;
        if (!one || found.length > 1) throw new Error(`${found.length} registrations of ${type} ${name}`);
        return one;
    };
}
