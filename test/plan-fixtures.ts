import { applyCommand } from "../components/haproxy/apply";
import type { HttpsOptions } from "../components/haproxy/https";
import { renderHaproxyConfig } from "../components/haproxy/render";
import { commandNames, identityOf, names, serverName, types } from "../lib/identity";
import { parseLimits } from "../policy/limits";
import { unknownValue } from "../policy/facts";
import type { AccountFacts, Sources } from "../tools/plan/build";
import type { PreviewDocument, PreviewStep } from "../tools/pulumi/preview";
import type { StackState, StateResource } from "../tools/pulumi/state";
import { describeUserData } from "../userdata/render";
import { haproxySettings } from "./haproxy-settings";

const limits = `limits:
  minReplicas: 2
  maxReplicas: 20
  maxShrinkPercent: 50
  maxMonthlyCostUsd: 200
  sizes: any
  regions: any
  sshFromAnywhere: if-configured
  advisory: []
`;

const { backendTag, loadBalancerTag } = identityOf("dropscale-prod");

/** A resource of stack prod, as its state has it. */
export function resource(
    type: string,
    name: string,
    inputs: Record<string, unknown> = {},
    outputs: Record<string, unknown> = {},
): StateResource {
    const urn = `urn:pulumi:prod::dropscale::${type}::${name}`;
    return { urn, type, name, id: `${name}-id`, custom: !type.startsWith("dropscale:"), inputs, outputs };
}

/** A step of a preview: `create` has no resource before it, `delete` none after it. */
export function step(
    op: string,
    is: StateResource,
    was: StateResource = is,
    differs: string[] = [],
): PreviewStep {
    const { urn, type, name } = is;
    return {
        ...{ op, urn, type, name, differs, replacedFor: op === "replace" ? differs : [] },
        ...(op === "create" ? {} : { before: was }),
        ...(op === "delete" ? {} : { after: is }),
    };
}

const userData = "#cloud-config\npackages: [nginx]\n";

/** A backend; without an address it is not made yet. */
export function server(slot: number, inputs: Record<string, unknown> = {}, address?: string): StateResource {
    const all = {
        name: `${serverName(slot)}-0123abc`,
        ...{ size: "s-1vcpu-1gb", image: "debian-12-x64", region: "fra1", tags: [backendTag] },
        userData,
        ...inputs,
    };
    return resource(types.droplet, serverName(slot), all, address ? { ipv4AddressPrivate: address } : {});
}

/** The load balancer's droplet. */
export function loadBalancer(inputs: Record<string, unknown> = {}): StateResource {
    const all = {
        name: `${names.loadBalancer}-0123abc`,
        ...{ size: "s-1vcpu-1gb", image: "debian-12-x64", region: "fra1", userData: "[secret]" },
        tags: [loadBalancerTag],
        ...inputs,
    };
    return resource(types.droplet, names.loadBalancer, all);
}

/** The component that stands for all backends. */
export function pool(slots: readonly number[], inputs: Record<string, unknown> = {}): StateResource {
    const servers = Object.fromEntries(slots.map((slot) => [serverName(slot), "s-1vcpu-1gb"]));
    const all = {
        ...{ replicas: slots.length, retired: [], hold: [], servers },
        ...{ image: "debian-12-x64", userData: describeUserData(userData) },
        ...inputs,
    };
    return resource(types.pool, names.pool, all);
}

/** The commands that stage and apply haproxy.cfg; `unknown`: the text can't be known yet. */
export function haproxy(
    servers: { name: string; address: string }[] | "unknown",
    {
        appPort = 80,
        word = "1-0123abcd",
        appliedWord = "1-0123abcd",
        https,
    }: Partial<Record<"word" | "appliedWord", string>> & { appPort?: number; https?: HttpsOptions } = {},
): StateResource[] {
    const stdin =
        servers === "unknown"
            ? unknownValue
            : renderHaproxyConfig({ ...haproxySettings, appPort, https, servers });
    const connection = "[secret]";
    return [
        resource(types.remoteCommand, commandNames().staged, { stdin, connection }, { stdout: word }),
        resource(types.remoteCommand, commandNames().applied, {
            create: applyCommand(appliedWord, 300),
            connection,
        }),
    ];
}

/** Both commands run. */
export function haproxyRuns(
    is: StateResource[],
    was: StateResource[] = deployed.resources.slice(-2),
    differs: string[] = [],
): PreviewStep[] {
    return is.map((command, i) =>
        step("update", command, was[i], [i === 0 ? "stdin" : "create", ...differs]),
    );
}

const addresses = [0, 1, 2].map((slot) => ({ name: serverName(slot), address: `10.0.0.${slot + 10}` }));

/** Stack prod with three servers, as it was deployed. */
export const deployed: StackState = {
    resources: [
        resource(types.stack, "dropscale-prod"),
        pool([0, 1, 2]),
        resource(types.network, names.network, { prefix: "dropscale-prod", region: "fra1" }),
        ...[loadBalancerTag, backendTag].map((tag) =>
            resource(types.firewall, tag.replace("dropscale-prod", names.network), {
                tags: [tag],
                inboundRules: [
                    tag === backendTag
                        ? { protocol: "tcp", portRange: "all", sourceTags: [loadBalancerTag] }
                        : { protocol: "tcp", portRange: "80", sourceAddresses: ["0.0.0.0/0"] },
                ],
            }),
        ),
        loadBalancer(),
        ...addresses.map(({ address }, slot) => server(slot, {}, address)),
        ...haproxy(addresses),
    ],
    leftovers: [],
    pending: [],
};

const config = {
    ...{ replicas: "3", retired: "[]", hold: "[]", size: "s-1vcpu-1gb", image: "debian-12-x64" },
    ...{
        userdata: "nginx",
        appPort: "80",
        healthPath: "/healthz",
        healthHost: "health-check",
        drainSeconds: "75",
    },
    ...{ serverTimeoutSeconds: "60", trustedProxies: "[]", logOneIn: "0" },
};

const account: AccountFacts = {
    monthlyPrices: new Map([
        ["s-1vcpu-1gb", 6],
        ["s-2vcpu-4gb", 24],
        ["s-1vcpu-1gb-intel", 7.2],
    ]),
    droplets: { limit: 25, existing: 4 },
};

/** What a plan of stack prod is made of: `steps`, and config that differs. */
export function sources(
    steps: PreviewStep[],
    changed: Partial<PreviewDocument["config"]> = {},
    more: Partial<Sources> & { errors?: string[]; warnings?: string[] } = {},
): Sources {
    const { errors = [], warnings = [], ...rest } = more;
    return {
        stack: "prod",
        document: { config: { ...config, ...changed }, steps, errors, warnings },
        state: deployed,
        account,
        limits: parseLimits(limits, "prod"),
        obstacles: [],
        ...rest,
    };
}

/** From three servers to five. */
export const scaleOut = sources(
    [
        step("update", pool([0, 1, 2, 3, 4]), pool([0, 1, 2])),
        step("create", server(3)),
        step("create", server(4)),
        ...haproxyRuns(haproxy("unknown")),
    ],
    { replicas: "5" },
);
