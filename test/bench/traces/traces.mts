import { slots, type Trace } from "./pool.mts";

/** A pseudo-random sequence that is the same each time. https://en.wikipedia.org/wiki/Xorshift */
export function randomFrom(seed: number): () => number {
    let state = seed | 1;
    return () => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return (state >>> 0) / 2 ** 32;
    };
}

const minute = 60;
/** How long a server works on a request where nothing is said. */
const usual = 0.2;
/** Requests a second of which so many servers are busy with all slots. */
const load = (servers: number): number => (servers * slots) / usual;
const between = (second: number, from: number, to: number): boolean =>
    second >= from * minute && second < to * minute;

const plain = {
    startMs: Date.UTC(2026, 10, 30, 12),
    ...{ replicas: 4, max: 20 },
    serviceSeconds: () => usual,
};

/** Minutes long means that drift, so that they do not average out. */
function noise(seconds: number, seed: number): number[] {
    const random = randomFrom(seed);
    let drift = 0;
    return Array.from({ length: seconds }, () => {
        drift = 0.98 * drift + 0.2 * (random() - 0.5);
        return 1 + 0.4 * drift + 0.3 * (random() - 0.5);
    });
}

/** The same load in the mean, for half an hour. */
export function noiseTrace(seed: number): Trace {
    const factors = noise(30 * minute, seed);
    return {
        ...plain,
        name: "noise",
        seconds: 30 * minute,
        rate: (second) => load(2.2) * (factors[second] ?? 1),
        remark: "the same load in the mean: a server more than DigitalOcean's pool, for good",
    };
}

// At 01:00 UTC of this night the clocks of Berlin are put back; the rush comes at 06:30 there, as every Monday's does.
const dstStart = Date.UTC(2026, 9, 25, 0);

export const traces: readonly Trace[] = [
    {
        ...plain,
        name: "step",
        seconds: 60 * minute,
        rate: (second) => load(between(second, 5, 25) ? 8 : 2),
        remark: "four times the load for 20 min; the hours are those of the servers that were there in time, and go by a quarter every 5 min",
    },
    {
        ...plain,
        name: "sine",
        seconds: 240 * minute,
        rate: (second) => load(5 - 3.5 * Math.cos((2 * Math.PI * second) / (120 * minute))),
        remark: "from 1.5 to 8.5 servers' worth and back, twice: nobody is short, ours has a little more in reserve",
    },
    noiseTrace(7),
    {
        ...plain,
        name: "flash crowd",
        seconds: 60 * minute,
        rate: (second) => {
            const since = second - 5 * minute;
            const crowd =
                since < 0 ? 0 : since < 60 ? since / 60 : since < 600 ? 1 : Math.exp((600 - since) / 300);
            return load(1.5 + 9 * crowd);
        },
        remark: "seven times the load within a minute, for 10 min; hours as with the step",
    },
    {
        ...plain,
        name: "slow database",
        seconds: 60 * minute,
        rate: () => load(2.2),
        behind: (second) => (between(second, 10, 30) ? load(0.8) : Infinity),
        remark: "it answers a third for 20 min, and servers can't help: ours adds some once, sees that, and says so; the others let servers go that are missing afterwards",
    },
    {
        ...plain,
        name: "dead server",
        seconds: 30 * minute,
        rate: () => load(2.4),
        dying: (second) => (second === 10 * minute ? 2 : 0),
        remark: "two machines of four die, and nothing heals: the pool does not see it, HPA after 5 min",
    },
    {
        ...plain,
        name: "missing metrics",
        seconds: 40 * minute,
        rate: (second) => load(between(second, 8, 17) ? 0.9 : 2.2),
        isBlind: (second) => between(second, 10, 20),
        remark: "no figures for 10 min, while the load falls and comes back",
    },
    {
        ...plain,
        name: "bad release",
        seconds: 60 * minute,
        rate: () => load(2.2),
        failing: (second) => (between(second, 10, 25) ? 0.9 : 0),
        remark: "nine of ten requests fail at once for 15 min: the others take that for little load",
    },
    {
        ...plain,
        name: "DST night",
        replicas: 2,
        startMs: dstStart,
        seconds: 10 * 60 * minute,
        rate: (second) => load(between(second, 5.5 * 60, 8 * 60) ? 5 : 0.8),
        schedule: [{ start: "30 6 * * *", end: "0 9 * * *", timezone: "Europe/Berlin", min: 8 }],
        remark: "a rush at 06:30 in Berlin, the night in which clocks are put back: ours alone has a schedule",
    },
];

/** What a site in Berlin has on a working day, from midnight to midnight; a mail to all customers goes out at 14:00. */
export const dayTrace: Trace = {
    ...plain,
    name: "day",
    replicas: 2,
    startMs: Date.UTC(2026, 10, 29, 23),
    seconds: 24 * 60 * minute,
    rate: (second) => {
        const hour = second / 3600;
        const awake = Math.max(0, Math.sin(((hour - 6) / 17) * Math.PI));
        const mail = Math.exp(-(((hour - 14.15) / 0.25) ** 2));
        return load(0.5 + 3.5 * awake + 5 * mail);
    },
    schedule: [{ start: "30 7 * * Mon-Fri", end: "0 19 * * Mon-Fri", timezone: "Europe/Berlin", min: 4 }],
    remark: "quiet at night, a floor for the working day, a crowd at 14:00",
};
