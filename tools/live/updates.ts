import { count } from "../cli/words";
import type { StackOutputs } from "../pulumi/run";
import type { Condition } from "./condition";
import { onLoadBalancer } from "./ssh";

export interface PackageUpdate {
    name: string;
    from: string;
    to: string;
    security: boolean;
}

export interface Updates {
    packages: PackageUpdate[];
    rebootDue: boolean;
    /** How old apt's lists are, of which all of this is known, in hours. */
    listsHours: number;
}

/** apt's lists are fetched again when they are older, in hours: nothing does so by itself. */
const freshHours = 24;

/**
 * Installs nothing; lists that are too old are fetched again, and where that fails, their age says so. `apt list` alone
 * has what is held, too: HAProxy, which nothing upgrades by itself, as that would restart it.
 * https://manpages.debian.org/apt-get
 */
const ask = `export LC_ALL=C
lists=/var/lib/apt/lists
[ -n "$(find $lists -maxdepth 0 -mmin -${freshHours * 60})" ] ||
    { timeout 60 apt-get -qq -o APT::Update::Error-Mode=any update >/dev/null 2>&1 && touch $lists; }
echo "lists $((($(date +%s) - $(stat -c %Y $lists)) / 3600))"
newest=$(ls /boot/vmlinuz-* 2>/dev/null | sort -V | tail -n 1)
if [ -e /run/reboot-required ] || { [ -n "$newest" ] && [ "$newest" != "/boot/vmlinuz-$(uname -r)" ]; }; then echo reboot; fi
apt list --upgradable 2>/dev/null
`;

/** Asks the load balancer over SSH. @throws as {@link onLoadBalancer} */
export async function updatesCondition(outputs: StackOutputs, stack: string): Promise<Condition> {
    return judgeUpdates(parseUpdates(await onLoadBalancer(outputs, ask)), stack);
}

/** Takes apart what the load balancer printed. @throws Error if it is anything else. */
export function parseUpdates(text: string): Updates {
    const listsHours = /^lists (\d+)$/m.exec(text)?.[1];
    if (listsHours === undefined) throw new Error("apt on the load balancer did not answer as expected");
    const lines = text.matchAll(/^([^/\s]+)\/(\S+) (\S+) \S+ \[upgradable from: (\S+)\]$/gm);
    const packages = [...lines].map(([, name = "", suites = "", to = "", from = ""]) => ({
        ...{ name, from, to },
        security: suites.includes("-security"),
    }));
    return { packages, rebootDue: /^reboot$/m.test(text), listsHours: Number(listsHours) };
}

export function judgeUpdates({ packages, rebootDue, listsHours }: Updates, stack: string): Condition {
    const haproxy = packages.filter(({ name }) => name === "haproxy");
    const others = packages.filter(({ name }) => name !== "haproxy");
    const security = others.filter(({ security }) => security).length;
    const ofDebian = `${count(others.length, "package")} of Debian${security > 0 ? ` (${security} for security)` : ""}`;
    const waits = haproxy.map(({ name, from, to }) => `${name} ${from} → ${to}`);
    if (others.length > 0) waits.push(ofDebian);
    const isOld = listsHours >= 2 * freshHours;
    const problem = [
        waits.length > 0 ? `has updates waiting: ${waits.join(", ")}` : "",
        rebootDue ? "has a newer kernel than the one that runs" : "",
        isOld ? `could not fetch its package lists for ${Math.floor(listsHours / 24)} days` : "",
    ]
        .filter(Boolean)
        .join("; it ");
    const another =
        `\`pulumi config set loadBalancerGeneration ANOTHER_WORD --stack ${stack}\`, then \`pulumi up --stack ${stack}\`: ` +
        "another load balancer with the newest packages takes over";
    const reboot = "reboot it in a quiet hour: nothing answers for about half a minute";
    const fixPackages = rebootDue ? `${another}; for a kernel alone, ${reboot}` : another;
    const fixOthers = rebootDue ? reboot : "look at `apt-get update` on it";
    return {
        said: problem === "" ? ["the load balancer has all updates"] : [],
        subject: "the load balancer ",
        problems: problem === "" ? [] : [problem],
        fix: packages.length > 0 ? fixPackages : fixOthers,
    };
}
