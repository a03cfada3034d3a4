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
const tell = (why: string): Judgement => ({ verdict: "tell", why });

interface Thing {
    id: number | string;
    name: string;
    created_at?: string;
}

/**
 * What of the account is not in the state, and what is to become of it. What may be somebody else's is only told; nothing
 * that serves or may serve is deleted, nor, while such a droplet stays, what it needs.
 */
export function findOrphans(of: Case): Orphan[] {
    const { prefix, inventory, vpcId, known } = of;
    const carriers = inventory.droplets.filter((droplet) => carriesTagOf(prefix, droplet));
    const droplets = unknownOf("droplet", carriers, of, (one) => judgeDroplet(one, of), doubtDroplet);
    const leaving = new Set(droplets.flatMap(({ id, verdict }) => (verdict === "delete" ? [id] : [])));
    const stay = inventory.droplets.filter(({ id }) => !leaving.has(String(id)));
    const verdicts = droplets.map(({ verdict }) => verdict);
    const unlessNeeded = (
        created: string | undefined,
        isNeededBy: (droplet: Droplet) => boolean = () => false,
    ): Judgement => {
        const by = stay.filter(isNeededBy);
        if (verdicts.includes("keep") || by.some(({ id }) => known.has(`droplet ${id}`)))
            return { verdict: "keep", why: "needed by a droplet that stays" };
        if (verdicts.includes("wait"))
            return { verdict: "wait", why: "needed by a droplet that stays for now" };
        const [other] = by;
        if (other) return tell(`${other.name} (${other.id}) needs it, which may be somebody else's`);
        return unlessYoung(created, "not in the state", of);
    };
    // Without its firewall, a droplet with its tag would be open to everybody.
    const judgeFirewall = ({ name, created_at: created }: Inventory["firewalls"][number]) =>
        unlessNeeded(created, ({ tags }) => tags.includes(name));
    const judgeVpc = ({ id, created_at: created }: Inventory["vpcs"][number]) =>
        unlessNeeded(created, ({ vpc_uuid: vpc }) => vpc === id);
    const judgeKey = () => unlessNeeded(undefined);
    const ownFirewalls = inventory.firewalls.filter(({ name }) => dropletTags(prefix).includes(name));
    const ownKeys = inventory.keys.filter(({ name }) => name === prefix);
    // A region's default can't be deleted.
    const ownVpcs = inventory.vpcs.filter((vpc) => vpc.name === prefix && !vpc.default && vpc.id !== vpcId);
    const firewalls = unknownOf("firewall", ownFirewalls, of, judgeFirewall, doubtFirewall);
    const keys = unknownOf("SSH key", ownKeys, of, judgeKey, doubtKey);
    const vpcs = unknownOf("VPC", ownVpcs, of, judgeVpc, doubtVpc);
    // In the order of deletion: a VPC goes when the last droplet has left it.
    const reservedIps = judgeReservedIps(of, leaving);
    const own = [...droplets, ...firewalls, ...expiredAdmissions(of), ...keys, ...vpcs, ...reservedIps];
    return [...own, ...judgeAlerts(of), ...leftByBakes(of)];
}

/** What of these the state does not know. @param doubt Why one may be somebody else's. @default none may be */
function unknownOf<T extends Thing>(
    kind: Orphan["kind"],
    things: readonly T[],
    { prefix, known }: Case,
    judge: (thing: T) => Judgement,
    doubt: (prefix: string, thing: T) => string | undefined = () => undefined,
): Orphan[] {
    return things
        .filter(({ id }) => !known.has(`${kind} ${id}`))
        .map((thing) => {
            const { id, name, created_at: created } = thing;
            const why = doubt(prefix, thing);
            const judged = why === undefined ? judge(thing) : tell(`may be somebody else's: ${why}`);
            return { kind, name, id: String(id), ...(created !== undefined && { created }), ...judged };
        });
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
    const judge = () => unlessYoung(undefined, "not in the state", of);
    const named = inventory.alerts.map((alert) => ({ ...alert, id: alert.uuid, name: alert.description }));
    const ownAlerts = named.filter(({ name }) => name.startsWith(own));
    const ofChecks = inventory.uptimeAlerts.filter(({ check }) => known.has(`uptime check ${check}`));
    return [
        ...unknownOf("alert", ownAlerts, of, judge, doubtAlert),
        ...unknownOf("uptime check", inventory.uptimeChecks, of, judge, doubtCheck),
        ...ofChecks.flatMap((alert) =>
            unknownOf("uptime alert", [alert], of, judge).map((found) => ({ ...found, check: alert.check })),
        ),
    ];
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
        return [{ kind: "reserved IP", name: "", id: ip, ...tell(why) }];
    });
}

/** Of bakes that were killed: a droplet, its firewall and its tag, each with the name of the three. */
function leftByBakes(of: Case): Orphan[] {
    const { prefix, inventory } = of;
    const isOfBake = (name: string) => readBuilder(prefix, name) !== undefined;
    const tagOf = ({ tags }: Droplet) => tags.find(isOfBake) ?? "";
    const judge = (tag: string) => {
        const started = readBuilder(prefix, tag)?.startedAt.toISOString();
        return unlessYoung(started, "left by a bake", of, youngBakeHours);
    };
    const judgeBuilder = (droplet: Droplet) => judge(tagOf(droplet));
    const doubt = (_prefix: string, droplet: Droplet) =>
        doubtBuilder(droplet, readBuilder(prefix, tagOf(droplet)));
    const builders = inventory.droplets.filter(({ tags }) => tags.some(isOfBake));
    const droplets = unknownOf("droplet", builders, of, judgeBuilder, doubt);
    // Without its firewall, or its tag, a droplet would be open.
    const judgeGuard = ({ name: tag }: Thing): Judgement => {
        const guarded = builders.filter(({ tags }) => tags.includes(tag)).map(({ id }) => String(id));
        if (guarded.some((id) => of.known.has(`droplet ${id}`)))
            return tell("a droplet of the state has its tag");
        const stays = droplets.find(({ id, verdict }) => verdict !== "delete" && guarded.includes(id));
        if (!stays) return judge(tag);
        return { verdict: stays.verdict, why: `${stays.name} (${stays.id}) needs it, ${stays.why}` };
    };
    const firewalls = inventory.firewalls.filter(({ name }) => isOfBake(name));
    const tags = inventory.tags.flatMap(({ name }) => (isOfBake(name) ? [{ id: name, name }] : []));
    return [
        ...droplets,
        ...unknownOf("firewall", firewalls, of, judgeGuard),
        ...unknownOf("tag", tags, of, judgeGuard),
    ];
}
