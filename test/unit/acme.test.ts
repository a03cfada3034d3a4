import { execFileSync } from "node:child_process";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import {
    applyCertificate,
    certificateAfter,
    certificateBefore,
    certificateScript,
    stageCertificate,
} from "../../components/https/commands";

const script = path.join(__dirname, "../../components/https/acme.sh");

/** Runs this with the functions of acme.sh. */
const bash = (commands: string): string =>
    execFileSync("bash", ["-c", `set -uo pipefail; source ${script}; ${commands}`], {
        encoding: "utf8",
    }).trim();

describe("the names that an authority has refused", () => {
    const all = "example.com www.example.com www.example.com.au";
    const refused = (answer: string) =>
        bash(`answer=$(cat <<'END'\n${answer}\nEND\n); refused_names ${all} || :`).split(/\s+/).join(" ");

    it.each([
        [
            "one of them, as lego says it",
            `2026/11/30 18:00:00 Could not obtain certificates:
	error: one or more domains had a problem:
[www.example.com] acme: error: 403 :: urn:ietf:params:acme:error:unauthorized :: 192.0.2.1: Invalid response from https://example.com/.well-known/acme-challenge/x: 404`,
            "www.example.com",
        ],
        [
            "one, by policy",
            `acme: error: 400 :: POST :: https://ca.test/new-order :: urn:ietf:params:acme:error:rejectedIdentifier :: Cannot issue for "www.example.com": forbidden by policy`,
            "www.example.com",
        ],
        [
            "one, by its CAA record",
            "urn:ietf:params:acme:error:caa :: Error finalizing order :: While processing CAA for www.example.com.au: it prevents issuance",
            "www.example.com.au",
        ],
        [
            "all, as there were too many",
            "urn:ietf:params:acme:error:rateLimited :: too many certificates (5) already issued for this exact set of domains in the last 168h0m0s: example.com,www.example.com,www.example.com.au, retry after 2026-12-01",
            all,
        ],
        [
            "none, as the authority can't be reached",
            "Could not create client: get directory at 'https://ca.example.com/directory': dial tcp: no route to host",
            "",
        ],
    ])("are %s", (_what, answer, names) => {
        expect(refused(answer)).toBe(names);
    });
});

describe("what is ordered", () => {
    /** Orders, and why something is missing, where the certificate has some of the names a, b and c, and others lead here. */
    const ordered = (now: {
        leads: string;
        certified?: string;
        refused?: string;
        left?: "much" | "a third" | "little";
    }) => {
        const { leads, certified = "", refused = "", left = "much" } = now;
        const among = (list: string) => `[[ " ${list} " == *" $1 "* ]]`;
        const output = bash(`
            names=(a b c) certified='${certified}' got=''
            is_certified() { [[ " $certified " == *" $1 "* ]]; }
            is_fresh() { ${left === "much"}; }
            is_last_part() { ${left === "little"}; }
            leads_here() { ${among(leads)}; }
            warn_of_ipv6() { :; }
            order() {
                local name
                echo "order $*"
                for name in "$@"; do
                    if [[ " ${refused} " == *" $name "* ]]; then answer="[$name] acme: error: 403"; return 1; fi
                done
            }
            take_new() { shift; echo "installed $*"; }
            obtain
            echo "why $why"`);
        const steps = output.split("\n");
        return { why: steps.pop()?.replace(/^why ?/, ""), steps };
    };

    it("is a certificate for the names that lead here, and the others are waited for", () => {
        const { steps, why } = ordered({ leads: "a b" });
        expect(steps).toEqual(["order a b", "installed a b"]);
        expect(why).toBe("c: not a name of this load balancer yet: its A record has to be the reserved IP");
    });

    it("is nothing where nothing is gained", () => {
        expect(ordered({ leads: "a b", certified: "a b" }).steps).toEqual([]);
        expect(ordered({ leads: "a b c", certified: "a b c" }).steps).toEqual([]);
    });

    it("never drops a name that fails to lead here from a certificate that is good for a while", () => {
        const due = { leads: "a b", certified: "a b c" };
        const { steps, why } = ordered({ ...due, left: "a third" });
        expect(steps).toEqual([]);
        expect(why).toMatch(
            /^c: not a name .*; none is ordered without c before the one that there is for it/,
        );
        expect(ordered({ ...due, left: "little" }).steps).toEqual(["order a b", "installed a b"]);
        expect(ordered({ leads: "a b", certified: "a c" }).steps).toEqual([]);
    });

    it("is one without the names that the authority refuses, which are named", () => {
        const { steps, why } = ordered({ leads: "a b c", refused: "b" });
        expect(steps).toEqual(["order a b c", "order a c", "installed a c"]);
        expect(why).toBe("the authority gives none for b: [b] acme: error: 403");
    });

    it("is none without a refused name that has a certificate for a while, nor the same again", () => {
        const all = { leads: "a b c", refused: "b" };
        expect(ordered({ ...all, certified: "a b c", left: "a third" }).steps).toEqual(["order a b c"]);
        expect(ordered({ ...all, certified: "a b c", left: "little" }).steps).toEqual([
            ...["order a b c", "order a c", "installed a c"],
        ]);
        expect(ordered({ ...all, certified: "a c" }).steps).toEqual(["order a b c"]);
    });
});

describe("a name that an authority asks by IPv6 first", () => {
    const reason = (ipv4: string, ipv6: string) =>
        bash(`
            why=before
            own_address() { echo 192.0.2.7; }
            getent() {
                if [[ $* == *ahostsv6* ]]; then echo '${ipv6} STREAM'; else echo '${ipv4} STREAM a'; fi
            }
            warn_of_ipv6 a
            echo "$why"`);

    it("is mentioned only where the A record leads here", () => {
        expect(reason("192.0.2.7", "2001:db8::1")).toMatch(
            /^before; a has an AAAA record, 2001:db8::1, .*: delete it$/,
        );
    });

    it("is not told where it has no AAAA record, or leads to a proxy", () => {
        // What getent says of a name with an A record alone.
        expect(reason("192.0.2.7", "::ffff:192.0.2.7")).toBe("before");
        expect(reason("192.0.2.70", "2001:db8::1")).toBe("before");
    });
});

it("may wait for the timer's run and still do its own part", () => {
    const [, wait] = /flock --wait (\d+)/.exec(certificateScript.text) ?? [];
    const order = {
        email: "me@example.com",
        server: "https://ca.example/dir",
        thumbprint: "t",
        names: ["a"],
    };
    const commands = [
        stageCertificate("7", order),
        applyCertificate("1-0a"),
        certificateBefore("7", order, "192.0.2.7"),
        certificateAfter("7", order, 120),
    ];
    for (const command of commands) {
        const [, bound] = /^timeout --kill-after=10 (\d+) /.exec(command) ?? [];
        expect(Number(bound), command).toBeGreaterThanOrEqual(Number(wait) + 60);
    }
    // 180 s at the authority, and a minute with HAProxy.
    expect(Number(wait)).toBeGreaterThanOrEqual(180 + 60);
});
