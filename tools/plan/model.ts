/** What a reviewer is told of a change. `make plan ARGS='--json FILE'` writes it as it is. */
export interface Plan {
    /** Of this form. A field may come without another number; one never goes or changes its meaning. */
    version: 1;
    stack: string;
    /** One line, such as `3 → 5 servers, $24 → $36 a month, no request lost`. */
    summary: string;
    /** Whether `pulumi up` may run: nothing refuses it. */
    applicable: boolean;
    /** Why it may not, each with what to do; of the program, the engine, a limit. Empty where `applicable`. */
    refusals: string[];
    /** Whether `pulumi up` would do anything. Where the program refused, all below is as it is now. */
    changes: boolean;
    /** Config that differs from what was applied last, by its key; and the stack's name, which is a part of every name. */
    settings: Setting[];
    /** How the pool will be scaled by itself, in words; not there where a person does it. */
    autoscale?: string;
    /** The image of the servers that are made, in words; not there where the config has no image's number. */
    image?: string;
    servers: {
        before: number;
        after: number;
        /** Every server of both, by slot. */
        list: ServerPlan[];
    };
    loadBalancer: {
        action: DropletAction;
        why: string[];
        size: string;
        /** The remote command that writes haproxy.cfg runs; it reloads HAProxy only if the text changes. */
        haproxyRuns: boolean;
    };
    others: OtherChange[];
    /** Left of an earlier run that did not end well; deleted at the end of this one. */
    leftovers: string[];
    /** Droplets that runs left which did not end well, with what each of them does. */
    left: LeftDroplet[];
    /** In USD a month. `null` where a size has no price. */
    monthlyCost: {
        before: number | null;
        after: number | null;
        difference: number | null;
        /** At the rate of all droplets that exist at once while it runs. */
        whileRunning: number | null;
    };
    droplets: {
        before: number;
        /** At the most, while it runs: new ones are there before old ones go. */
        whileRunning: number;
        after: number;
        /** Of the whole account, as it is now; `null` if it could not be asked. */
        account: { limit: number; existing: number } | null;
    };
    lostRequests: Loss;
    seconds: { from: number; to: number };
    warnings: string[];
    policy: {
        /** What breaks policy/limits.yaml, each with what to do; those that are not `advisory` are refusals, too. */
        violations: { rule: string; advisory: boolean; text: string }[];
        /** What can't be judged before it is made, or without reading secrets. */
        unjudged: { rule: string; why: string }[];
    };
    /** Unified diff of haproxy.cfg, with placeholders for addresses that are not known yet; empty: as it is. */
    haproxyDiff: string;
    /** Unified diff of the backends' user data, one behind the other where they differ; empty: as it is, or secret. */
    userDataDiff: string;
}

/** What changes, without what that means. */
export type Draft = Omit<
    Plan,
    "summary" | "applicable" | "refusals" | "lostRequests" | "seconds" | "warnings" | "policy"
>;

/** A key of the config; or `stack`, the stack's own name, which `pulumi stack rename` changes. */
export interface Setting {
    key: string;
    /** `null`: was not there. */
    before: string | null;
    after: string | null;
}

/** `update`: in place. */
export type DropletAction = "create" | "keep" | "replace" | "update" | "delete";

export interface ServerPlan {
    name: string;
    slot: number;
    action: DropletAction;
    /** Such as `size s-1vcpu-1gb → s-2vcpu-4gb`. */
    why: string[];
    /** As it will be; as it was, for one that is deleted. */
    size: string;
    /** It keeps image, size and user data. */
    held: boolean;
    /** It is there, and gets no request: the run that made it did not end well. */
    waits: boolean;
}

export interface LeftDroplet {
    /** In the state; one that has a successor has its name. */
    name: string;
    id: string;
    /** A successor of it is in the state: deleted at the end of the next run that ends well. */
    leaves: boolean;
    /** `null`: could not be told, so it may. */
    serves: boolean | null;
    /** The same in words, as every command has them. */
    what: string;
    /** In USD; `null` where it is not known. */
    monthlyCost: number | null;
}

/** Something that is neither a server nor the load balancer. */
export interface OtherChange {
    action: "create" | "update" | "replace" | "delete";
    /** Such as `firewall`; the engine's type for one that this program does not make. */
    kind: string;
    /** In the state. */
    name: string;
    /** Inputs that differ, or what differs in them. */
    what: string[];
}

export interface Loss {
    /**
     * `none`: none that is shorter than drainSeconds. `in-flight`: those under way when the address moves.
     * `all`: every one, for a time. `unknown`: can't be said.
     */
    which: "none" | "in-flight" | "all" | "unknown";
    why: string;
}
