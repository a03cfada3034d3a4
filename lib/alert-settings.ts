import { emailForm, Mistakes } from "./config-rules";
import {
    isObject,
    jsonObject,
    type NumberRule,
    type Numbers,
    readNumbers,
    show,
    unknownKeys,
    whole,
} from "./object-rules";

/** The config key `alerts`: whom DigitalOcean tells when the stack is not well, and from when on. */

/** Of a machine, in per cent over five minutes, above which people are told. */
const numbers = {
    /** A server's CPU. @default 85 */
    cpuPercent: { ...whole(1, 99), default: 85 },
    /** The load balancer's: what it can't do, no other machine does. @default 70 */
    loadBalancerCpuPercent: { ...whole(1, 99), default: 70 },
    /** Memory of each machine. @default 90 */
    memoryPercent: { ...whole(1, 99), default: 90 },
    /** Disk of each machine. @default 85 */
    diskPercent: { ...whole(1, 99), default: 85 },
} satisfies Record<string, NumberRule>;

export interface AlertSettings extends Numbers<typeof numbers> {
    /** Of the account or its team, and verified there: DigitalOcean writes to no other. At least this or `slack`. */
    email?: string;
    slack?: {
        /** Such as `#ops`. */
        channel: string;
        /** Of an incoming webhook. A secret: who has it can post there. */
        url: string;
    };
}

/** What DigitalOcean's check of the site is called, in the account and in the messages that people get. */
export const uptimeCheckWords = "the site, from outside";

/** In USD. Its alerts, and those of machines, cost nothing. https://docs.digitalocean.com/products/uptime/details/pricing/ */
export const uptimeCheckMonthlyUsd = 1;

const ownKeys = ["email", "slack", ...Object.keys(numbers)];

/** Part of the config that has to be a secret. */
export const slackUrlKey = "alerts.slack.url";
/** Writes it without showing it, in no shell's history either: `pulumi` asks for the value. */
export const setSlackUrl = `pulumi config set --secret --path ${slackUrlKey}`;
/** Writes the channel, which is no secret. */
export const setSlackChannel = "pulumi config set --path alerts.slack.channel '#ops'";
const setEmail = "pulumi config set --path alerts.email you@example.com";

/** https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/ */
const slackUrlForm = /^https:\/\/hooks\.slack\.com(\/[\w-]+)+$/;

/**
 * The config's `alerts`; `undefined` where it is off: empty, or `{}`. No message repeats a value that may be a secret.
 *
 * @throws Mistakes with all that is wrong.
 */
export function readAlerts(raw: string): AlertSettings | undefined {
    const given = jsonObject(raw);
    if (given === undefined)
        throw new Mistakes([`'alerts' should be settings such as {"email": "you@example.com"}; ${setEmail}`]);
    if (Object.keys(given).length === 0) return undefined;
    const problems = unknownKeys("alerts", given, ownKeys);
    const thresholds = readNumbers("alerts", given, numbers, problems);
    const email = readEmail(given.email, problems);
    const slack = readSlack(given.slack, problems);
    if (isNothing(given.email) && isNothing(given.slack))
        problems.push(`'alerts' should have 'email' or 'slack', or both, got neither; ${setEmail}`);
    if (problems.length > 0) throw new Mistakes(problems);
    return { ...(thresholds as Numbers<typeof numbers>), email, slack };
}

const isNothing = (value: unknown): value is undefined | null | "" =>
    value === undefined || value === null || value === "";

function readEmail(value: unknown, problems: string[]): string | undefined {
    if (isNothing(value)) return undefined;
    if (typeof value === "string" && emailForm.test(value)) return value;
    problems.push(`'alerts.email' should be an e-mail address, got ${shown(value)}; ${setEmail}`);
    return undefined;
}

function readSlack(value: unknown, problems: string[]): AlertSettings["slack"] {
    if (isNothing(value)) return undefined;
    if (!isObject(value)) {
        problems.push(
            `'alerts.slack' should be a channel and the URL of a webhook, got ${shown(value)}; ${setSlackChannel} && ${setSlackUrl}`,
        );
        return undefined;
    }
    const { channel, url } = value;
    problems.push(...unknownKeys("alerts.slack", value, ["channel", "url"]));
    const isChannel = typeof channel === "string" && /^\S(.{0,78}\S)?$/.test(channel) && !mayBeUrl(channel);
    if (!isChannel)
        problems.push(
            `'alerts.slack.channel' should be a channel of Slack such as #ops, got ${shown(channel)}; ${setSlackChannel}`,
        );
    const isUrl = typeof url === "string" && slackUrlForm.test(url);
    if (!isUrl)
        problems.push(
            `'${slackUrlKey}' should be the URL of a webhook, https://hooks.slack.com/…, got ` +
                `${isNothing(url) ? "nothing" : "something else, not shown since it may be a secret"}; ${setSlackUrl}`,
        );
    return isChannel && isUrl ? { channel, url } : undefined;
}

const mayBeUrl = (text: string): boolean => /\/\/|slack\.com/i.test(text);

/** A webhook's URL in the wrong place is a secret all the same. */
function shown(value: unknown): string {
    const text = show(isNothing(value) ? undefined : value);
    return mayBeUrl(text) ? "a URL, not shown since it may be a secret" : text;
}
