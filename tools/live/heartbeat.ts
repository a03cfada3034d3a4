import { duration, plain } from "../cli/words";

/** What the autoscaler said last, in JSON: on the load balancer, where everybody finds it; gone with a reboot. */
export const heartbeatFile = "/run/dropscale-autoscaler.json";

/** Bash that prints what {@link heartbeatIn} reads. */
export const printHeartbeat = `if [ -f ${heartbeatFile} ]; then read -r at text <${heartbeatFile}; echo "heartbeat: $((EPOCHSECONDS - at)) $text"; fi`;

/** A line of JSON, and how long ago it was written. */
export interface Heard {
    ageSeconds: number;
    text: string;
}

/** @returns `undefined` where no autoscaler has said anything since the host was started. */
export function heartbeatIn(answer: string): Heard | undefined {
    const [, age, text = ""] = /^heartbeat: (\d+) (.*)$/m.exec(answer) ?? [];
    return age === undefined ? undefined : { ageSeconds: Number(age), text };
}

/** What an autoscaler says of itself after each look. It stays on the load balancer, where all others find it. */
export interface Heartbeat {
    host: string;
    pid: number;
    /** `dry-run`: it only says what it would do. */
    hand: "up" | "commit" | "dry-run";
    /** How often it looks; with a timer, how often that runs. */
    everySeconds: number;
    action: "out" | "in" | "none";
    reason: string;
    alarming: boolean;
    /** Its last word: somebody stopped it, and it ended in order. @default false */
    stopped?: boolean;
}

/** @returns `undefined` for what is none. */
function parseHeartbeat(text: string): Heartbeat | undefined {
    try {
        const found = JSON.parse(text) as Partial<Heartbeat>;
        return typeof found.reason === "string" && typeof found.host === "string"
            ? (found as Heartbeat)
            : undefined;
    } catch {
        return undefined;
    }
}

/** One that was not heard for so many of its intervals, and longer than an `up` may hold a timer's next run, is dead. */
const missedIntervals = 3;

/** What {@link describeHeartbeat} makes of a heartbeat. */
export interface Word {
    /** One line for people. */
    text: string;
    isAlarming: boolean;
    /** What it does just now, or would do; `dead`: it was not heard of for too long; `stopped`: by somebody, who knows. */
    action: Heartbeat["action"] | "dead" | "stopped";
}

/** @returns `undefined`: no autoscaler has spoken since the host was started. */
export function describeHeartbeat(heartbeat: Heard | undefined): Word | undefined {
    const found = heartbeat && parseHeartbeat(heartbeat.text);
    if (!found) return undefined;
    const who = `${found.host}${found.hand === "dry-run" ? ", dry run" : `, --apply ${found.hand}`}`;
    const age = duration(heartbeat.ageSeconds);
    const isDead =
        !found.stopped && heartbeat.ageSeconds > missedIntervals * Math.max(found.everySeconds, 20);
    const text = found.stopped
        ? `the autoscaler (${who}) was stopped ${age} ago: nothing scales`
        : isDead
          ? `the autoscaler (${who}) has not been heard of for ${age}: nothing scales`
          : `autoscaler (${who}): ${found.reason}`;
    return {
        // It was read from a host: nothing in it may draw on a terminal.
        text: plain(text),
        isAlarming: isDead || (!found.stopped && found.alarming),
        action: found.stopped ? "stopped" : isDead ? "dead" : found.action,
    };
}

/** Why another one must not begin; `undefined`: it may. */
export function conflictWith(
    heartbeat: Heard | undefined,
    own: Pick<Heartbeat, "host" | "hand">,
): string | undefined {
    const found = heartbeat && parseHeartbeat(heartbeat.text);
    if (!found || found.hand === "dry-run" || heartbeat.ageSeconds > takeOverSeconds) return undefined;
    if (found.host === own.host && found.hand === own.hand) return undefined;
    return (
        `another autoscaler works on this stack: ${found.host}, --apply ${found.hand}, heard of ${duration(heartbeat.ageSeconds)} ago. ` +
        `Stop that one, and start this one ${duration(takeOverSeconds)} after it`
    );
}

/** How long after the last word of another one the next may begin. */
const takeOverSeconds = 300;
