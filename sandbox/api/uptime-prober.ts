import type { Static } from "typebox";

import { firstLine } from "../host.ts";
import type { UptimeCheck } from "../model.ts";
import type * as answers from "./alert-answers.ts";
import { timestamp } from "./cloud.ts";
import type { ControlPlane } from "./control-plane.ts";

type State = Static<typeof answers.UptimeState>;

interface Seen {
    isUp: boolean;
    changedAt: string;
    looks: number;
    looksUp: number;
    /** The last one that ended. */
    outage?: { started_at: string; ended_at: string };
}

/**
 * Asks what uptime checks are about once a minute, from where the sandbox's Internet is: one place, which every region is
 * taken for. Kept in memory. A change is logged, and nobody is told.
 */
export class UptimeProber {
    readonly #control: ControlPlane;
    readonly #everyMs: number;
    readonly #seen = new Map<string, Seen>();
    #timer: NodeJS.Timeout | undefined;

    constructor(control: ControlPlane, everySeconds = 60) {
        this.#control = control;
        this.#everyMs = everySeconds * 1000;
    }

    start(): void {
        const lookAtAll = () => {
            const { uptimeChecks } = this.#control.cloud;
            for (const id of this.#seen.keys())
                if (!uptimeChecks.some((check) => check.id === id)) this.#seen.delete(id);
            for (const check of uptimeChecks) this.look(check);
        };
        lookAtAll();
        this.#timer = setInterval(lookAtAll, this.#everyMs);
        this.#timer.unref();
    }

    stop(): void {
        clearInterval(this.#timer);
    }

    /** Begins to; the state follows when there is an answer, or none. */
    look(check: UptimeCheck): void {
        if (!check.enabled) return;
        const { target } = check;
        void this.#control.machines.answers(target).then(
            (isUp) => {
                if (isUp !== undefined && check.target === target) this.#note(check, isUp);
            },
            (error: unknown) => {
                this.#control.log(`uptime check ${check.id}: ${firstLine(error)}`);
            },
        );
    }

    /** `CHECKING` until there was an answer, or none: for ever where there are no machines. */
    stateOf({ id, regions, createdAt }: UptimeCheck): State {
        const seen = this.#seen.get(id);
        const state = seen
            ? {
                  status: seen.isUp ? ("UP" as const) : ("DOWN" as const),
                  status_changed_at: seen.changedAt,
                  thirty_day_uptime_percentage: Math.round((10_000 * seen.looksUp) / seen.looks) / 100,
              }
            : { status: "CHECKING" as const, status_changed_at: createdAt };
        const [region] = regions;
        return {
            regions: Object.fromEntries(regions.map((one) => [one, state])),
            ...(seen?.outage &&
                region && {
                    previous_outage: { region, ...seen.outage, duration_seconds: secondsOf(seen.outage) },
                }),
        };
    }

    #note({ id, name, target }: UptimeCheck, isUp: boolean): void {
        const before = this.#seen.get(id);
        const { looks, looksUp } = before ?? { looks: 0, looksUp: 0 };
        const now = timestamp();
        const changed = before?.isUp !== isUp;
        if (changed)
            this.#control.log(
                `uptime check ${name}: ${target} is ${isUp ? "UP" : "DOWN"}; nobody is told here`,
            );
        const outage =
            before && isUp && changed ? { started_at: before.changedAt, ended_at: now } : before?.outage;
        this.#seen.set(id, {
            isUp,
            changedAt: changed ? now : before.changedAt,
            looks: looks + 1,
            looksUp: looksUp + Number(isUp),
            ...(outage && { outage }),
        });
    }
}

const secondsOf = ({ started_at, ended_at }: NonNullable<Seen["outage"]>): number =>
    Math.round((Date.parse(ended_at) - Date.parse(started_at)) / 1000);
