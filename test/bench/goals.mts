import { cacheRatios, pagesMs } from "./cache-figures.mts";
import { type Row, totals } from "./measure.mts";
import type { Measured } from "./scenarios.mts";

/** A figure that was aimed at. */
export interface Goal {
    what: string;
    /** The figure, and what it was made of. */
    found: string;
    wanted: string;
    met: boolean;
}

/** Figures of a whole run against what was aimed at. What was not measured is left out. */
export function goals(measured: Measured): Goal[] {
    return [
        ...requests(measured),
        ...times(measured),
        ...throughput(measured),
        ...tls(measured),
        ...autoscale(measured),
        ...images(measured),
        ...cache(measured),
        ...previews(measured),
    ];
}

function requests({ rows }: Measured): Goal[] {
    const ours = rows.filter(({ system }) => system === "dropscale");
    const of = (isKind: (kind: string) => boolean) => {
        const all = ours.map((row) => totals({ ...row, load: row.load.filter(({ kind }) => isKind(kind)) }));
        const sum = (key: "sent" | "lost" | "cut") => all.reduce((total, each) => total + each[key], 0);
        return { sent: sum("sent"), lost: sum("lost"), cut: sum("cut") };
    };
    // How many there are at least is a goal for all scenarios together.
    const isWhole = new Set(ours.map(({ scenario }) => scenario)).size > 1;
    const goal = (what: string, least: number, found: ReturnType<typeof of>): Goal => ({
        what,
        found: `${found.lost} of ${found.sent.toLocaleString("en-US")} lost, and ${found.cut} cut as said`,
        wanted: isWhole ? `0 of at least ${least.toLocaleString("en-US")} lost` : "0 lost",
        met: found.lost === 0 && found.sent >= (isWhole ? least : 1),
    });
    if (ours.length === 0) return [];
    return [
        goal(
            "short requests, all changes together",
            1_000_000,
            of((kind) => kind.startsWith("GET")),
        ),
        goal(
            "two-second requests",
            200,
            of((kind) => kind === "2 s GET"),
        ),
    ];
}

function times({ rows, bootSeconds }: Measured): Goal[] {
    const row = (scenario: string, change: string, system: Row["system"] = "dropscale") =>
        rows.find((one) => one.scenario === scenario && one.change === change && one.system === system);
    const [up1, up8] = [row("scale", "+1"), row("scale-8", "+8")];
    const [theirs1, theirs8] = [row("scale", "+1", "DOProxy"), row("scale-8", "+8", "DOProxy")];
    const [boot1, boot8] = [bootSeconds[1], bootSeconds[8]];
    const found: Goal[] = [];
    if (up1?.lastFirstRequestSeconds && boot1) {
        const more = up1.lastFirstRequestSeconds - boot1;
        found.push({
            what: "+1: the new server's first request, over boot and cloud-init alone",
            found: `${fixed(more)} s more (${fixed(up1.lastFirstRequestSeconds)} and ${fixed(boot1)} s)`,
            wanted: "at most 15 s more",
            met: more <= 15,
        });
    }
    if (up1 && up8 && boot1 && boot8) {
        const beyond = (up8.seconds - boot8) / (up1.seconds - boot1);
        found.push({
            what: "+8 over +1, beyond what booting takes",
            found:
                `${beyond.toFixed(2)} times (+8: ${fixed(up8.seconds)} s, booting eight alone ${fixed(boot8)} s; ` +
                `+1: ${fixed(up1.seconds)} s, booting one alone ${fixed(boot1)} s; with it ` +
                `${(up8.seconds / up1.seconds).toFixed(2)} times)`,
            wanted: "at most 1.5 times",
            met: beyond <= 1.5,
        });
    }
    if (up8 && theirs8) {
        const ratio = theirs8.seconds / up8.seconds;
        found.push({
            what: "DOProxy's +8 over ours",
            found: `${ratio.toFixed(2)} times (${fixed(theirs8.seconds)} and ${fixed(up8.seconds)} s)`,
            wanted: "at least 2.5 times",
            met: ratio >= 2.5,
        });
    }
    if (up8 && theirs1 && boot1 && boot8) {
        const ours = up8.seconds - boot8 + boot1;
        const theirs = 8 * theirs1.seconds;
        found.push({
            what: "the same where droplets do not share cores: eight of DOProxy's +1 over our +8 with one boot for eight",
            found: `${(theirs / ours).toFixed(2)} times (${fixed(theirs)} and ${fixed(ours)} s)`,
            wanted: "a model, no goal",
            met: true,
        });
    }
    return found;
}

function throughput({ throughput: found = [] }: Measured): Goal[] {
    const of = (name: string) => found.find(({ configuration }) => configuration === name);
    const [plain, ours] = [of("ten lines"), of("ours")];
    if (!plain || !ours) return [];
    const cpu = (of: typeof plain) => of.cpuMicrosecondsPerRequest.toFixed(1);
    const variants = found
        .filter((one) => one !== plain && one !== ours)
        .map(
            (one) => `${one.configuration.replace("ours, ", "")} ${one.ratio.toFixed(2)} and ${cpu(one)} µs`,
        );
    return [
        {
            what: "throughput of our haproxy.cfg over ten lines",
            found:
                `${ours.ratio.toFixed(2)} (${ours.requestsPerSecond} and ${plain.requestsPerSecond} requests a second; ` +
                `CPU a request ${cpu(ours)} and ${cpu(plain)} µs; ${variants.join("; ")})`,
            wanted: "at least 0.95",
            met: ours.ratio >= 0.95,
        },
    ];
}

/** More than this beside what a connection costs without TLS is not in the bound on connections. */
const tlsKiB = 32;

function tls({ tls: found }: Measured): Goal[] {
    if (!found) return [];
    const rates = found.rates.map(({ kind, perSecond, ratio, cpuMicroseconds: cpu }) => {
        const hasGoal = !kind.endsWith("HTTP/2");
        return {
            what: `${kind} over TLS, over ten lines with the same certificate`,
            found:
                `${ratio.toFixed(2)} (${perSecond.ours} and ${perSecond.tenLines} a second; ` +
                `CPU ${cpu.ours} and ${cpu.tenLines} µs each)`,
            wanted: hasGoal ? "at least 0.95" : "a figure, no goal",
            met: !hasGoal || ratio >= 0.95,
        };
    });
    const memory = found.memory.map(({ state, plainKiB, tlsKiB: withTls }) => ({
        what: `what TLS adds to the memory of a connection, ${state}`,
        found: `${fixed(withTls - plainKiB)} KiB (${fixed(withTls)} and ${fixed(plainKiB)})`,
        wanted: `at most ${tlsKiB} KiB`,
        met: withTls - plainKiB <= tlsKiB,
    }));
    return [...rates, ...memory];
}

function autoscale({ autoscale: found }: Measured): Goal[] {
    if (!found) return [];
    const { decidedSeconds, servingSeconds, doneSeconds, calmSeconds, p99Ms, servers } = found;
    const watched = found.watchedShare - found.idleShare;
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
    return [
        {
            what: "four times the load, until new servers serve",
            found: `${servingSeconds} s: decided after ${decidedSeconds} s, all of them there after ${doneSeconds} s, ${servers.before} → ${servers.most}`,
            wanted: "below 60 s",
            met: servingSeconds < 60,
        },
        {
            what: "99th percentile of answers after that",
            found: `${p99Ms.after} ms, before ${p99Ms.before}, at worst ${p99Ms.worst}; calm after ${calmSeconds} s`,
            wanted: "below twice what it was",
            met: p99Ms.after < 2 * p99Ms.before,
        },
        {
            what: "requests while it scaled out and in by itself",
            found: `${found.lost} of ${found.requests.toLocaleString("en-US")} lost; back to ${servers.before} servers after ${found.backSeconds} s in ${found.backSteps} steps`,
            wanted: "0 lost",
            met: found.lost === 0,
        },
        {
            what: "what being watched costs the load balancer",
            found: `${percent(watched)} of a core (${percent(found.watchedShare)} and ${percent(found.idleShare)})`,
            wanted: "below 1 %",
            met: watched < 0.01,
        },
    ];
}

function images({ images: found = [] }: Measured): Goal[] {
    return found.map(({ userData, bakeSeconds, firstRequestSeconds: { debian, baked } }) => ({
        what: `+1 on a baked image over +1 on Debian, userdata/${userData}: until its first request`,
        found: `${(baked / debian).toFixed(2)} (${fixed(baked)} and ${fixed(debian)} s; baked in ${fixed(bakeSeconds)} s)`,
        wanted: "at most 0.50",
        met: baked <= debian / 2,
    }));
}

/** What the article on Scaler.sh found: 420 over 22.25 requests a second. */
const articlesRatio = 18.9;

function cache({ cache: found = [] }: Measured): Goal[] {
    return pagesMs.flatMap((pageMs) => {
        const ratios = cacheRatios(found, { pageMs, way: "from the cache" });
        if (!ratios) return [];
        const { plain, other, requests, cpu } = ratios;
        const hasGoal = pageMs >= 10;
        return {
            what: `a page of ${pageMs} ms from Varnish, over nginx and PHP-FPM`,
            found:
                `${requests.toFixed(1)} times (${Math.round(other.requestsPerSecond)} and ` +
                `${plain.requestsPerSecond.toFixed(1)} requests a second), ${cpu.toFixed(0)} times less CPU ` +
                `(${other.cpuMsPerRequest.toFixed(3)} and ${plain.cpuMsPerRequest.toFixed(2)} ms a request)`,
            wanted: hasGoal ? `at least ${articlesRatio} times` : "a figure, no goal",
            met: !hasGoal || requests >= articlesRatio,
        };
    });
}

function previews({ previews: found = [] }: Measured): Goal[] {
    const of = (count: number) => found.find(({ servers }) => servers === count);
    const [three, hundred, thousand] = [of(3), of(100), of(1000)];
    if (!three || !hundred || !thousand) return [];
    const growth = thousand.seconds / hundred.seconds;
    return [
        {
            what: "preview of three servers",
            found: `${fixed(three.seconds)} s`,
            wanted: "below 5 s",
            met: three.seconds < 5,
        },
        {
            what: "preview of 1,000 servers over 100",
            found: `${growth.toFixed(1)} times (${fixed(thousand.seconds)} and ${fixed(hundred.seconds)} s)`,
            wanted: "at most 10 times",
            met: growth <= 10,
        },
        {
            what: "memory of the preview of 1,000 servers",
            found: `${thousand.peakMiB} MiB`,
            wanted: "under 1.5 GB",
            met: thousand.peakMiB * 2 ** 20 < 1.5e9,
        },
    ];
}

const fixed = (seconds: number) => seconds.toFixed(1);
