import type { Properties, Value } from "./values.ts";

export type PropertyType = "string" | "integer" | "number" | "boolean" | "set" | "list" | "map" | "any";

/** One input of a resource; a plain input is `{ type }`. */
export interface Property {
    type: PropertyType;
    /** Type of a set's or list's elements; default: anything. */
    items?: PropertyType;
    required?: boolean;
    /** The service chooses the value when none is given, so a missing one is never a difference. */
    computed?: boolean;
    /** A change replaces the resource. */
    forceNew?: boolean;
    /** Always secret, whatever the program says. */
    secret?: boolean;
    /** Keys of an object that are secret in the inputs, inside of it too. */
    secretKeys?: readonly string[];
    default?: Value;
    /** What the state holds where no input is given: the service's own default. */
    absent?: Value;
    /** Without a value, `<logical name>-<7 hex digits>`; with one, a replacement deletes the old resource first. */
    autoName?: boolean;
    /** The form that the state holds, if it is not the input's own (a hash, lower case). */
    stored?: (value: string) => string;
    /** What is wrong with a known value, or nothing. */
    validate?: (value: Value) => string | undefined;
}

/** What an operation knows of its surroundings. */
export interface Call {
    /** The resource's logical name. */
    name: string;
    /** `customTimeouts` of this operation in seconds; undefined: the resource's own default. */
    timeoutSeconds: number | undefined;
    /** Aborted when the user cancels the run. */
    signal: AbortSignal;
    log: Log;
}

/** Takes a line of progress, which the CLI shows beside the resource while the operation runs. */
export type Log = (line: string) => void;

/** The thing exists under `id`; if `outputs` fails, it is kept in state all the same, as not initialized. */
export interface Created {
    id: string;
    outputs: () => Promise<Properties>;
}

/** What the official plugin's bridge from Terraform knows of a type. */
export interface Bridge {
    /** Properties whose names in Terraform are not their own in snake case. */
    renamed?: Record<string, string>;
    /** Properties that are lists of at most one element in Terraform. */
    single?: readonly string[];
    /** The same of what is inside of a property. */
    nested?: Record<string, Bridge>;
    /** Seconds, by operation; none where the type has no timeouts. */
    timeouts?: Partial<Record<"create" | "update" | "delete", number>>;
    /** Of the type's state, where it has been changed. */
    schemaVersion?: string;
}

/** Everything a provider knows about one type of resource. All values are plain: secrets are the core's task. */
export interface Resource {
    /** Missing: the official plugin is no bridge from Terraform. */
    bridge?: Bridge;
    inputs: Record<string, Property>;
    /** Names of outputs that are not inputs as well. */
    outputs: readonly string[];
    create: (inputs: Properties, call: Call) => Promise<Created>;
    /**
     * What the service says now; undefined: it is gone. Keys left out keep their values in state. In an import
     * `state` is empty. Missing `read`: the state is all there is.
     */
    read?: (id: string, state: Properties) => Promise<Properties | undefined>;
    /** Returns outputs that are different from before. Missing: every change replaces. */
    update?: (id: string, olds: Properties, news: Properties, call: Call) => Promise<Properties>;
    delete: (id: string, state: Properties, call: Call) => Promise<void>;
    /**
     * What the official provider's bridge repeats of the inputs in a preview's output `__meta`: in plain, secret or not,
     * unless the program names that output in `additionalSecretOutputs`.
     */
    previewMeta?: (inputs: Properties) => Properties;
    /** Names of outputs that a preview of an update can't know; default none. */
    unknownAfterUpdate?: readonly string[];
}

export interface Provider {
    name: string;
    /** As in the npm package whose resources it serves. */
    version: string;
    resources: Record<string, Resource>;
    /** Data sources by token. */
    functions: Record<string, (args: Properties) => Promise<Properties>>;
    /** What the official one adds to its own configuration in the state. */
    configMarks?: Properties;
    configure: (config: Properties) => void;
}
