import { dropletTags, identityOf } from "../../lib/identity";
import { readBuilder } from "../../lib/baked-images";
import { isExpired, readAdmission } from "./admission";
import type { Droplet, Inventory, kinds } from "./account";
import { type Answers, frontsOf, type Known } from "./in-service";
import {
    carriesTagOf,
    doubtAlert,
    doubtBuilder,
    doubtCheck,
    doubtDroplet,
    doubtFirewall,
    doubtKey,
    doubtVpc,
} from "./ownership";

export interface Orphan {
    kind: keyof typeof kinds;
    name: string;
    id: string;
    /** Of an uptime alert: the check that it hangs on. */
    check?: string;
    /** RFC 3339, where the API knows it. */
    created?: string;
    /**
     * `keep`: it serves or may serve, or is needed by what does. `wait`: it serves nothing, but a run that can't be seen
     * from here may be making it. `tell`: it may be somebody else's, or nothing need be done about it here.
     */
    verdict: "delete" | "keep" | "wait" | "tell";
    why: string;
}

/** Younger than this, a run that can't be seen from here may still be making it; in hours. */
const youngHours = 1;
/** Likewise a bake: user data may take four hours, and a snapshot one. */
const youngBakeHours = 6;

/** What {@link findOrphans} has to know. */
export interface Case extends Pick<Known, "known"> {
    prefix: string;
    inventory: Inventory;
    /** `vpcId` of the stack's config: never the program's own. */
    vpcId: string;
    /** @default none */
    neverServed?: Known["neverServed"];
    /** @default nobody was asked */
    answers?: Answers;
    /** What serves is deleted, too. @default false */
    giveUp?: boolean;
    /** A person says that no run is under way: what is young is deleted, too. @default false */
    noRunLives?: boolean;
    /** @default the present, in milliseconds */
    now?: number;
}

type Judgement = Pick<Orphan, "verdict" | "why">;
type Thing = Pick<Droplet, "name"> & { id: number | string; created_at?: string };

/**
 * What of the account is not in the state, and what is to become of it. What may be somebody else's is only told; nothing
 * that serves or may serve is deleted, nor, while such a droplet stays, what it needs.
 */
export function findOrphans(of: Case): Orphan[] {
    const { prefix, inventory, vpcId } = of;
    const droplets = inventory.droplets
        .filter((droplet) => carriesTagOf(prefix, droplet))
        .flatMap((droplet) => orphan("droplet", droplet, of, () => judgeDroplet(droplet, of)));
    const leaving = new Set(droplets.flatMap(({ id, verdict }) => (verdict === "delete" ? [id] : [])));
    const stay = inventory.droplets.filter(({ id }) => !leaving.has(String(id)));
    const unlessNeeded = (by: readonly Droplet[], created?: string) => judgeNeed(by, droplets, created, of);
    const firewalls = inventory.firewalls
        .filter(({ name }) => dropletTags(prefix).includes(name))
        .flatMap((firewall) =>
            orphan("firewall", firewall, of, () => {
                // Without it, a droplet with its tag would be open to everybody.
                const guards = stay.filter(({ tags }) => tags.includes(firewall.name));
                return told(doubtFirewall(prefix, firewall)) ?? unlessNeeded(guards, firewall.created_at);
            }),
        );
    const keys = inventory.keys
        .filter(({ name }) => name === prefix)
        .flatMap((key) => orphan("SSH key", key, of, () => told(doubtKey(prefix, key)) ?? unlessNeeded([])));
    // A region's default can't be deleted.
    const vpcs = inventory.vpcs
        .filter((vpc) => vpc.name === prefix && !vpc.default && vpc.id !== vpcId)
        .flatMap((vpc) =>
            orphan("VPC", vpc, of, () => {
                const members = stay.filter((droplet) => droplet.vpc_uuid === vpc.id);
                return told(doubtVpc(prefix, vpc)) ?? unlessNeeded(members, vpc.created_at);
            }),
        );
    // In the order of deletion: a VPC goes when the last droplet has left it.
    const reservedIps = judgeReservedIps(of, leaving);
    const own = [...droplets, ...firewalls, ...expiredAdmissions(of), ...keys, ...vpcs, ...reservedIps];
    return [...own, ...judgeAlerts(of), ...leftByBakes(of)];
}

/** None for what the state knows. */
function orphan(
    kind: Orphan["kind"],
    { id, name, created_at: created }: Thing,
    { known }: Case,
    judge: () => Judgement,
): Orphan[] {
    if (known.has(`${kind} ${id}`)) return [];
    return [{ kind, name, id: String(id), ...(created !== undefined && { created }), ...judge() }];
}

/** Of what is ours, and only droplets need. */
function judgeNeed(
    by: readonly Droplet[],
    droplets: readonly Orphan[],
    created: string | undefined,
    of: Case,
): Judgement {
    const verdicts = droplets.map(({ verdict }) => verdict);
    if (verdicts.includes("keep") || by.some(({ id }) => of.known.has(`droplet ${id}`)))
        return { verdict: "keep", why: "needed by a droplet that stays" };
    if (verdicts.includes("wait")) return { verdict: "wait", why: "needed by a droplet that stays for now" };
    const [other] = by;
    if (other === undefined) return unlessYoung(created, "not in the state", of);
    return { verdict: "tell", why: `${other.name} (${other.id}) needs it, which may be somebody else's` };
}

function told(doubt: string | undefined): Judgement | undefined {
    return doubt === undefined ? undefined : { verdict: "tell", why: `may be somebody else's: ${doubt}` };
}

/** @param created RFC 3339; without it, it counts as young. */
function unlessYoung(
    created: string | undefined,
    why: string,
    { noRunLives, now = Date.now() }: Case,
    hours = youngHours,
): Judgement {
    const age = now - Date.parse(created ?? "");
    if (noRunLives || age >= hours * 3_600_000) return { verdict: "delete", why };
    const young = hours === 1 ? "and not an hour old" : `and not ${hours} hours old`;
    const since = created === undefined ? "and nothing tells since when it is there" : young;
    return { verdict: "wait", why: `${why}, ${since}: a run that can't be seen from here may be making it` };
}

function judgeDroplet(droplet: Droplet, of: Case): Judgement {
    const { prefix, giveUp, neverServed } = of;
    const answers: Answers = of.answers ?? new Map();
    const doubt = told(doubtDroplet(prefix, droplet));
    if (doubt) return doubt;
    const unused = (why: string) => unlessYoung(droplet.created_at, `not in the state${why}`, of);
    const serving = (why: string): Judgement =>
        giveUp ? unused(`; ${why}, and is given up`) : { verdict: "keep", why };
    const [reservedIp] = frontsOf(of.inventory).get(droplet.id) ?? [];
    if (reservedIp !== undefined) return serving(`serves: ${reservedIp} points at it`);
    const cutOff = neverServed?.has(droplet.name) ? unused(", and it was never finished") : undefined;

    const { loadBalancerTag, adminHostTag } = identityOf(prefix);
    if (droplet.tags.includes(adminHostTag)) return cutOff ?? serving("may be in use: it is an admin host");
    if (droplet.tags.includes(loadBalancerTag)) {
        const answer = answers.get(droplet.id);
        if (cutOff) return cutOff;
        if (answer === undefined) return serving("may serve: nobody has asked its HAProxy");
        if (answer instanceof Error) return serving(`may serve: it can't be asked (${answer.message})`);
        return answer.size > 0
            ? serving("may serve: its HAProxy has servers")
            : unused(", and its HAProxy has no server");
    }
    const addresses = droplet.networks.v4.filter(({ type }) => type === "private");
    const all = [...answers.values()];
    const serves = all.some(
        (answer) =>
            !(answer instanceof Error) && addresses.some(({ ip_address: address }) => answer.has(address)),
    );
    if (serves) return serving("serves: the load balancer sends it requests");
    if (cutOff) return cutOff;
    const failed = all.find((answer) => answer instanceof Error);
    if (failed) return serving(`may serve: the load balancer can't be asked (${failed.message})`);
    if (all.length === 0) return serving("may serve: there is no load balancer to ask");
    return unused(", and not in service");
}

/** Nobody else gives such names, and they say when they end. */
function expiredAdmissions({ prefix, inventory }: Case): Orphan[] {
    const why = "its run has not removed it";
    return inventory.firewalls
        .filter(({ name }) => isExpired(readAdmission(prefix, name)))
        .map(({ id, name, created_at: created }) => {
            return { kind: "firewall", name, id, created, verdict: "delete", why };
        });
}

/** Nobody needs them, and they would go on to tell people. What hangs on a check goes with it. */
function judgeAlerts(of: Case): Orphan[] {
    const { prefix, inventory, known } = of;
    const own = identityOf(prefix).alertName("");
    const unknown = () => unlessYoung(undefined, "not in the state", of);
    const alerts = inventory.alerts
        .filter(({ description }) => description.startsWith(own))
        .flatMap((alert) => {
            const thing = { id: alert.uuid, name: alert.description };
            return orphan("alert", thing, of, () => told(doubtAlert(prefix, alert)) ?? unknown());
        });
    const checks = inventory.uptimeChecks.flatMap((check) =>
        orphan("uptime check", check, of, () => told(doubtCheck(prefix, check)) ?? unknown()),
    );
    const ofChecks = inventory.uptimeAlerts
        .filter(({ check }) => known.has(`uptime check ${check}`))
        .flatMap(({ check, ...alert }) =>
            orphan("uptime alert", alert, of, unknown).map((found) => ({ ...found, check })),
        );
    return [...alerts, ...checks, ...ofChecks];
}

/** They have no names: one of ours is only known while it points at a droplet. */
function judgeReservedIps({ prefix, inventory, known }: Case, leaving: ReadonlySet<string>): Orphan[] {
    return inventory.reservedIps.flatMap(({ ip, droplet }): Orphan[] => {
        const holder = inventory.droplets.find(({ id }) => id === droplet?.id);
        if (known.has(`reserved IP ${ip}`)) return [];
        if (droplet && !(holder && carriesTagOf(prefix, holder))) return [];
        const why = leaving.has(String(holder?.id))
            ? `will be unassigned, and costs then: \`doctl compute reserved-ip delete ${ip}\` if you don't want it`
            : holder
              ? `not in the state, points at ${holder.name}`
              : "unassigned, and nothing tells whose it is";
        return [{ kind: "reserved IP", name: "", id: ip, verdict: "tell", why }];
    });
}

/** Of bakes that were killed: a droplet, its firewall and its tag, each with the name of the three. */
function leftByBakes(of: Case): Orphan[] {
    const { prefix, inventory } = of;
    const leftBy = (tag: string, kind: Orphan["kind"], thing: Thing, other: Judgement | undefined) => {
        const builder = readBuilder(prefix, tag);
        if (!builder) return [];
        const started = builder.startedAt.toISOString();
        return orphan(
            kind,
            thing,
            of,
            () => other ?? unlessYoung(started, "left by a bake", of, youngBakeHours),
        );
    };
    const droplets = inventory.droplets.flatMap((droplet) => {
        const tag = droplet.tags.find((name) => readBuilder(prefix, name)) ?? "";
        return leftBy(tag, "droplet", droplet, told(doubtBuilder(droplet, readBuilder(prefix, tag))));
    });
    /** Without its firewall, or its tag, a droplet would be open. */
    const needed = (tag: string): Judgement | undefined => {
        const guarded = inventory.droplets.filter(({ tags }) => tags.includes(tag));
        const stays = droplets.find(
            ({ id, verdict }) => verdict !== "delete" && guarded.some((droplet) => String(droplet.id) === id),
        );
        return stays && { verdict: stays.verdict, why: `${stays.name} (${stays.id}) needs it, ${stays.why}` };
    };
    const firewalls = inventory.firewalls.flatMap((firewall) =>
        leftBy(firewall.name, "firewall", firewall, needed(firewall.name)),
    );
    const tags = inventory.tags.flatMap(({ name }) => leftBy(name, "tag", { id: name, name }, needed(name)));
    return [...droplets, ...firewalls, ...tags];
}
