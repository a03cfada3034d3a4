import type { Writable } from "node:stream";
import { haproxyScript } from "../../components/haproxy/apply";
import { releaseForm } from "../../lib/release";
import { count, some } from "../cli/words";
import type { StackOutputs } from "../pulumi/run";
import type { Condition } from "./condition";
import { onLoadBalancer } from "./ssh";

/** A server, and what it says that it serves. */
interface ServerRelease {
    name: string;
    /** `none`: nothing that was pushed; `undefined`: it did not say. */
    release: string | undefined;
    /** Why it did not. */
    problem: string;
}

/** Which releases of content there are, as the load balancer and its servers say. */
export interface LiveReleases {
    /** What new servers get; `undefined`: none was ever pushed. */
    current: string | undefined;
    /** Those that a roll-back can go to, the newest last. */
    kept: string[];
    /** One whose push did not end; `undefined`: none. */
    unfinished: string | undefined;
    servers: ServerRelease[];
    /** The server that runs the jobs that run once; `undefined`: none has the right just now. */
    once: string | undefined;
}

/** In every answer, so that one without any is known. */
export const askReleases = "bash -s releases";

/**
 * Asks each server through the load balancer, by the script of this checkout, not the one that is installed there.
 *
 * @param applied See {@link judgeReleases}.
 */
export async function contentCondition(
    outputs: StackOutputs,
    stack: string,
    applied?: unknown,
): Promise<Condition> {
    const onStart = (stdin: Writable) => stdin.end(haproxyScript.text);
    const printed = await onLoadBalancer(outputs, askReleases, { onStart });
    return judgeReleases(parseReleases(printed), stack, applied);
}

/** Takes apart what the load balancer printed. @throws Error if it is anything else. */
export function parseReleases(printed: string): LiveReleases {
    if (!/^end$/m.test(printed)) throw new Error("the load balancer did not say which releases there are");
    const word = (name: string) => new RegExp(`^${name} (.*)$`, "m").exec(printed)?.[1];
    const lines = printed.matchAll(/^server (\S+) \S+ (\S+) ?(.*)$/gm);
    return {
        current: word("current"),
        kept: (word("kept") ?? "").split(" ").filter((name) => releaseForm.test(name)),
        unfinished: word("pushing"),
        servers: [...lines].map(([, name = "", release = "", problem = ""]) => ({
            name,
            release: release === "-" ? undefined : release,
            problem,
        })),
        once: word("once")?.split(" ")[1],
    };
}

/**
 * Says nothing where there is no content.
 *
 * @param applied The release that `content` of the config made. @default it is not set, or nobody asks
 */
export function judgeReleases(releases: LiveReleases, stack: string, applied?: unknown): Condition {
    const { current, unfinished, servers, once } = releases;
    const isOther = typeof applied === "string" && applied !== current;
    const found = [...new Set(servers.flatMap(({ release }) => release ?? []))].sort((a) =>
        a === current ? -1 : 1,
    );
    const serving = (wanted: string) =>
        servers.filter(({ release }) => release === wanted).map(({ name }) => name);
    const parts = found.map((release) => `${release} on ${some(serving(release), 12)}`);
    const content = servers.length === 0 ? `${current ?? ""} for the first server` : parts.join(", ");
    const other = servers.filter(({ release = current }) => release !== current);
    const wrong = other.map(
        ({ name, release = "" }) => `${name} serves ${release.replace("none", "nothing that was pushed")}`,
    );
    const silent = servers
        .filter(({ release }) => release === undefined)
        .map(({ name, problem }) => `${name} (${problem})`);
    const problems = [
        wrong.length > 0
            ? `${count(wrong.length, "server")} should serve ${current ?? ""}: ${some(wrong, 8, ", ")}`
            : "",
        silent.length > 0 ? `what these serve is not known: ${some(silent, 8, ", ")}` : "",
        unfinished === undefined ? "" : `the push of ${unfinished} did not end`,
    ];
    return {
        said: [
            current === undefined ? "" : `content: ${content}`,
            once === undefined ? "" : `jobs that run once: on ${once}`,
        ].filter(Boolean),
        subject: "",
        problems: [
            isOther ? `the state says ${applied}, and the servers should serve ${current ?? "nothing"}` : "",
            ...(current === undefined ? [] : problems),
        ].filter(Boolean),
        fix: `\`npm run push -- DIR --stack ${stack}\` goes on, \`npm run push -- --rollback --stack ${stack}\` goes back; with \`content\` in the config, \`pulumi up --stack ${stack} --replace '**::content-sent'\``,
    };
}
