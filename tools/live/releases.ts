import { haproxyScript } from "../../components/haproxy/apply";
import { releaseForm } from "../../lib/release";
import { count, some } from "../cli/words";
import type { StackOutputs } from "../pulumi/run";
import { runOverSsh } from "./ssh";

/** A server, and what it says that it serves. */
export interface ServerRelease {
    name: string;
    address: string;
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

/** Asks the load balancer over SSH, which asks each server; by this checkout's script, whatever is installed there. */
export async function readReleases({
    loadBalancerIp: host,
    deployKey: privateKey,
    hostKey,
}: Pick<StackOutputs, "loadBalancerIp" | "deployKey" | "hostKey">): Promise<LiveReleases> {
    const printed = await runOverSsh(
        askReleases,
        { host, privateKey, hostKey },
        { onStart: (stdin) => stdin.end(haproxyScript.text) },
    );
    return parseReleases(printed);
}

/** Takes apart what the load balancer printed. @throws Error if it is anything else. */
export function parseReleases(printed: string): LiveReleases {
    if (!/^end$/m.test(printed)) throw new Error("the load balancer did not say which releases there are");
    const word = (name: string) => new RegExp(`^${name} (.*)$`, "m").exec(printed)?.[1];
    const lines = printed.matchAll(/^server (\S+) (\S+) (\S+) ?(.*)$/gm);
    return {
        current: word("current"),
        kept: (word("kept") ?? "").split(" ").filter((name) => releaseForm.test(name)),
        unfinished: word("pushing"),
        servers: [...lines].map(([, name = "", address = "", release = "", problem = ""]) => ({
            ...{ name, address, problem },
            release: release === "-" ? undefined : release,
        })),
        once: word("once")?.split(" ")[1],
    };
}

/** One line for who looks; `undefined` where there is no content. */
export function describeReleases({ current, servers, once }: LiveReleases): string[] {
    const of = (wanted: string | undefined) =>
        servers.filter(({ release }) => release === wanted).map(({ name }) => name);
    const found = [...new Set(servers.flatMap(({ release }) => release ?? []))].sort((a) =>
        a === current ? -1 : 1,
    );
    const parts = found.map((release) => `${release} on ${some(of(release), 12, " ")}`);
    const content = servers.length === 0 ? `${current ?? ""} for the first server` : parts.join(", ");
    return [
        ...(current === undefined ? [] : [`content: ${content}`]),
        ...(once === undefined ? [] : [`jobs that run once: on ${once}`]),
    ];
}

/** What is wrong, as whole sentences. */
export function releaseProblems({ current, unfinished, servers }: LiveReleases): string[] {
    if (current === undefined) return [];
    const silent = servers.filter(({ release }) => release === undefined);
    const other = servers.filter(({ release }) => release !== undefined && release !== current);
    const each = (list: readonly ServerRelease[], say: (server: ServerRelease) => string) =>
        some(list.map(say), 8, ", ");
    return [
        ...(other.length > 0
            ? [
                  `${count(other.length, "server")} should serve ${current}: ` +
                      each(
                          other,
                          ({ name, release = "" }) =>
                              `${name} serves ${release.replace("none", "nothing that was pushed")}`,
                      ),
              ]
            : []),
        ...(silent.length > 0
            ? [
                  `what these serve is not known: ${each(silent, ({ name, problem }) => `${name} (${problem})`)}`,
              ]
            : []),
        ...(unfinished === undefined ? [] : [`the push of ${unfinished} did not end`]),
    ];
}

/** What to do about them, in Markdown. */
export const fixReleases = (stack: string): string =>
    `\`npm run push -- DIR --stack ${stack}\` goes on, \`npm run push -- --rollback --stack ${stack}\` goes back; with \`content\` in the config, \`pulumi up --stack ${stack} --replace '**::content-sent'\``;
