import { readBuilder } from "../../lib/baked-images";
import type { Inventory } from "./account";
import { doubtBuilder } from "./ownership";

/** What becomes of something that a killed bake left; words and verdicts are the doctor's. */
interface Judgement {
    verdict: "delete" | "keep" | "wait" | "tell";
    why: string;
}
interface LeftByBake extends Judgement {
    kind: "droplet" | "firewall" | "tag";
    name: string;
    id: string;
    created?: string;
}

/** Younger than this, a bake may still be at work: user data may take four hours, and a snapshot one. */
const youngHours = 6;

/**
 * Of bakes that were killed: a droplet, its firewall and its tag, each with the name of the three.
 *
 * @param judgeAge What becomes of what is ours, by its time in RFC 3339; it waits while it is younger than so many hours.
 */
export function leftByBakes(
    prefix: string,
    inventory: Inventory,
    judgeAge: (created: string, why: string, hours: number) => Judgement,
): LeftByBake[] {
    const judge = (tag: string, other?: Judgement): Judgement[] => {
        const builder = readBuilder(prefix, tag);
        if (!builder) return [];
        return [other ?? judgeAge(builder.startedAt.toISOString(), "left by a bake", youngHours)];
    };
    const droplets = inventory.droplets.flatMap((droplet) => {
        const tag = droplet.tags.find((name) => readBuilder(prefix, name)) ?? "";
        const { id, name, created_at: created } = droplet;
        const doubt = doubtBuilder(droplet, readBuilder(prefix, tag));
        const told =
            doubt === undefined
                ? undefined
                : ({ verdict: "tell", why: `may be somebody else's: ${doubt}` } as const);
        return judge(tag, told).map((judged) => ({
            kind: "droplet" as const,
            name,
            id: String(id),
            created,
            ...judged,
        }));
    });
    /** Without its firewall, or its tag, a droplet would be open. */
    const needed = (tag: string): Judgement | undefined => {
        const guarded = inventory.droplets
            .filter(({ tags }) => tags.includes(tag))
            .map(({ id }) => String(id));
        const stays = droplets.find(({ id, verdict }) => verdict !== "delete" && guarded.includes(id));
        return stays && { verdict: stays.verdict, why: `${stays.name} (${stays.id}) needs it, ${stays.why}` };
    };
    const firewalls = inventory.firewalls.flatMap(({ id, name, created_at: created }) =>
        judge(name, needed(name)).map((judged) => ({
            kind: "firewall" as const,
            name,
            id,
            created,
            ...judged,
        })),
    );
    const tags = inventory.tags.flatMap(({ name }) =>
        judge(name, needed(name)).map((judged) => ({ kind: "tag" as const, name, id: name, ...judged })),
    );
    return [...droplets, ...firewalls, ...tags];
}
