import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { certificateScript } from "../../components/https/commands";
import { thumbprint } from "../../lib/acme";
import { buildAuthority } from "../../sandbox/region/authority.ts";
import { configFor, Host } from "./haproxy-host/host";

const web = "127.0.1.1";
const name = "www.example.com";
/** The stack's, which a load balancer can't always reach itself. */
const reservedIp = "198.51.100.7";
/** Where the load balancer before this one is, with another name that the authority does not know. */
const [oldAddress, otherName] = ["198.51.100.8", "other.example.com"];
const authority = "127.0.9.9:14000";
const resolver = "127.0.9.53";
const server = "https://acme.test:14000/directory";
const metadataPort = 8169;
const accountKey = generateKeyPairSync("ec", { namedCurve: "P-256" })
    .privateKey.export({ type: "sec1", format: "pem" })
    .toString();

/**
 * Stands before the programs that the script runs. `/run/kill-at` names one and which call of it: there all of the script
 * is killed, before the call or, with a third word, after it. lego, which `timeout` gives a process group of its own, lives
 * on, as it would if memory had run out.
 */
const killer = `#!/bin/bash
program=\${0##*/}
read -r at number after 2>/dev/null </run/kill-at
if [[ $program != "$at" ]]; then exec /usr/bin/$program "$@"; fi
echo "$*" >>/run/calls
if (($(wc -l </run/calls) != number)); then exec /usr/bin/$program "$@"; fi
if [[ $program == lego ]]; then /usr/bin/lego "$@" & sleep 0.2; fi
if [[ -n $after ]]; then /usr/bin/$program "$@"; fi
kill -KILL -- -"$(cat /run/script.pid)"
`;

/** A load balancer, and the sandbox's certificate authority beside it. Each test builds on the last. */
describe("a certificate of an authority", () => {
    let host: Host;
    let made: Host | undefined;
    const run = async (command: string, input = ""): Promise<string> =>
        (await host.run(command, input)).stdout.trim();
    const script = (words: string) =>
        host.run(
            `LEGO_CA_CERTIFICATES=/run/roots.pem exec setsid bash -c 'echo $$ >/run/script.pid; exec /run/certificate ${words}'`,
        );
    /** What the load balancer itself finds under the name. */
    const leadTo = (address: string) =>
        run(
            `printf '%s\\n' '${authority.split(":")[0]} acme.test' '${address} ${name} ${otherName}' >/etc/hosts`,
        );
    const startAuthority = async (binary: string) => {
        const options = `-listen=${authority} -resolver=${resolver}:53 -roots=/run/roots.pem acme.test=3600`;
        await run(
            `PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 PEBBLE_AUTHZREUSE=100 setsid ${binary} ${options} </dev/null >/run/authority.log 2>&1 & echo $! >/run/authority.pid`,
        );
        await run("until curl -sk https://acme.test:14000/directory >/dev/null; do sleep 0.1; done");
    };
    const stopAuthority = () => run("kill -KILL $(cat /run/authority.pid); sleep 0.2");
    /** Fingerprint of the certificate that a visitor gets and believes; `none`. */
    const shown = () =>
        run(
            `openssl s_client -connect 127.0.0.1:443 -servername ${name} -verify_hostname ${name} -verify_return_error ` +
                "-CAfile /run/roots.pem </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256 2>/dev/null | " +
                "sed 's/.*=//' | grep . || echo none",
        );
    const status = async () =>
        JSON.parse(await run("cat /etc/dropscale/acme/status")) as { result: string; reason: string };
    const issued = async () => (await run("cat /etc/dropscale/acme/issued")).split(" ")[0];

    const order = async (...names: string[]) => {
        const step = `stage order me@example.com ${server} ${thumbprint(accountKey)} ${names.join(" ")}`;
        const word = await run(`exec /run/certificate ${step}`, accountKey);
        expect(await host.run(`exec /run/certificate apply ${word}`)).toMatchObject({ code: 0, stderr: "" });
    };
    /** As on a new load balancer, whose certificate was only made up. */
    const standIn = () =>
        run(
            "cd /etc/haproxy && cp certs/site.pem /run/old.pem && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 " +
                "-nodes -subj '/CN=no certificate yet' -keyout /run/key -out certs/site.pem 2>/dev/null && " +
                "cat /run/key >>certs/site.pem && : >certified.lst && rm -f /etc/dropscale/acme/issued && systemctl restart haproxy",
        );
    const redirected = async () =>
        (await run(`curl -s -H 'Host: ${name}' -o /dev/null -w '%{http_code}' http://127.0.0.1/`)) === "308";

    beforeAll(async () => {
        const binary = await buildAuthority(console.error);
        host = made = await Host.start();
        await run("cat >/run/certificate && chmod 755 /run/certificate", certificateScript.text);
        await run(
            "mkdir /run/bin && cat >/run/bin/killer && chmod 755 /run/bin/killer && touch /run/kill-at && " +
                "for program in lego socat mv sync; do ln -s killer /run/bin/$program; done",
            killer,
        );
        await host.call("serve", web);
        await host.call("resolve", resolver, { [name]: "127.0.0.1" });
        await leadTo("127.0.0.1");
        await startAuthority(binary);
        await order(name);
        const https = { redirect: true, hsts: 0, thumbprint: thumbprint(accountKey) };
        expect(await host.apply(configFor({ 0: web }, { https }))).toMatchObject({ code: 0, stderr: "" });
    });
    afterAll(() => made?.stop());

    test("is ordered by a load balancer that can't reach its own address, if the metadata say that the name leads to it", async () => {
        await leadTo(reservedIp);
        await run("ip addr add 169.254.169.254/32 dev lo");
        const redirect = `ip daddr 169.254.169.254 tcp dport 80 redirect to :${metadataPort}`;
        await run(
            `nft 'table ip metadata { chain output { type nat hook output priority 0; ${redirect}; }; }'`,
        );
        for (const elsewhere of ["", "98.51.100.7"]) {
            await host.call("say", metadataPort, elsewhere);
            expect((await script(`before ${reservedIp}`)).stdout).toContain(
                `${name}: not a name of this load balancer yet`,
            );
        }
        expect(await shown()).toBe("none");
        await host.call("say", metadataPort, reservedIp);
        expect(await script(`before ${reservedIp}`)).toMatchObject({ code: 0, stderr: "" });
        expect(await shown()).toBe(await issued());
        await leadTo("127.0.0.1");
    });

    test.each([
        ["the authority is asked", "lego 1", "orders another"],
        ["HAProxy has been told, and not to use it", "socat 3", "orders another"],
        ["HAProxy has the new one, and the file the old one", "sync 1", "orders another"],
        ["the file has it, too", "mv 1 after", "keeps it"],
        ["all has been done but telling", "mv 3", "keeps it"],
    ])(
        "is renewed by the next run after one that was killed when %s; the site has one all the time",
        async (_, moment, next) => {
            await run("rm /etc/dropscale/acme/issued; : >/run/calls");
            const before = await shown();
            await run(`echo ${moment} >/run/kill-at`);
            const killed = await script("renew");
            await run(": >/run/kill-at");
            expect(killed.code, killed.stdout + killed.stderr).toBeNull();
            const found = [await shown()];
            for (const way of ["reload", "restart"]) {
                // A reload has ended when the new worker serves.
                await run(`systemctl ${way} haproxy && sleep 0.5`);
                found.push(await shown());
            }
            expect(found).not.toContain("none");
            expect(await script("renew")).toMatchObject({ code: 0, stderr: "" });
            expect([await shown(), (await status()).result]).toEqual([await issued(), "ok"]);
            expect(await shown()).not.toBe(before);
            expect((await shown()) === found.at(-1)).toBe(next === "keeps it");
        },
    );

    test("is asked for later where the authority does not answer, and HTTPS goes on", async () => {
        const before = await shown();
        const binary = await buildAuthority(console.error);
        await stopAuthority();
        await run("rm /etc/dropscale/acme/issued");
        const failed = await script("renew");
        expect(failed).toMatchObject({ code: 0, stderr: "" });
        expect(failed.stdout).toMatch(
            /no certificate: the authority gives none for www\.example\.com: .*Next try in 120 s/,
        );
        expect(await status()).toMatchObject({ result: "failed" });
        expect(await shown()).toBe(before);
        // It has forgotten all accounts, and is not asked before it is time.
        await startAuthority(binary);
        expect((await script("renew")).stdout).toBe("");
        expect(await shown()).toBe(before);
        // Of a clock that was wrong: nobody waits so long.
        await run('sed -i "1s/.*/$(($(date +%s) + 864000))/" /etc/dropscale/acme/next');
        expect(await script("renew")).toMatchObject({ code: 0, stderr: "" });
        expect([await shown(), (await status()).result]).toEqual([await issued(), "ok"]);
        expect(await shown()).not.toBe(before);
        expect(await run("ls /etc/dropscale/acme/next 2>&1")).toContain("No such file");
    });

    test("is renewed without a name that the authority refuses, and says why", async () => {
        await order(name, otherName);
        const first = await shown();
        const missing = { result: "failed", missing: otherName };
        for (const isDue of [false, true]) {
            if (isDue) await run("rm /etc/dropscale/acme/issued /etc/dropscale/acme/next");
            expect(await script("renew")).toMatchObject({ code: 0, stderr: "" });
            expect(await status()).toMatchObject({
                ...missing,
                reason: expect.stringMatching(
                    /^the authority gives none for other\.example\.com: .*\[other\.example\.com\] acme: error/,
                ) as string,
            });
            expect((await shown()) === first).toBe(!isDue);
            expect([await shown(), await redirected()]).toEqual([await issued(), true]);
        }
        await order(name);
    });

    test("does not come to a new load balancer: the address does not move from one where HTTPS works, though DNS leads elsewhere", async () => {
        await standIn();
        await leadTo("203.0.113.9");
        const old = `defaults\n mode http\n timeout client 5s\nfrontend old\n bind :8443 ssl crt /run/old.pem\n http-request return status 200\n`;
        await run("cat >/run/old.cfg && haproxy -D -p /run/old.pid -f /run/old.cfg", old);
        await run(`ip addr add ${oldAddress}/32 dev lo`);
        const redirect = `ip daddr ${oldAddress} tcp dport 443 redirect to :8443`;
        await run(`nft 'table ip old { chain output { type nat hook output priority 0; ${redirect}; }; }'`);
        const before = () =>
            host.run(`CURL_CA_BUNDLE=/run/roots.pem exec /run/certificate before ${oldAddress}`);
        const refused = await before();
        expect(refused.code).toBe(1);
        expect(refused.stderr).toContain(
            `https://${name}/ works now, and this load balancer has no certificate for ${name}:`,
        );
        expect([await shown(), await redirected()]).toEqual(["none", false]);

        // The way out: the old one's file, by hand.
        await run("cp /run/old.pem /etc/haproxy/certs/site.pem");
        expect(await before()).toMatchObject({ code: 0, stderr: "" });
        await leadTo("127.0.0.1");
        expect([(await shown()) === "none", await redirected()]).toEqual([false, true]);
    });

    test("is served by the next tick where somebody brings it, though it is not yet time to ask again", async () => {
        await standIn();
        await run(
            `cp /run/old.pem /etc/haproxy/certs/site.pem; echo "$(($(date +%s) + 600)) 600" | tr ' ' '\\n' >/etc/dropscale/acme/next`,
        );
        expect([await shown(), await redirected()]).toEqual(["none", false]);
        expect((await script("renew")).stdout).toContain("it has this one now");
        expect([(await shown()) === "none", await redirected()]).toEqual([false, true]);
        expect(await issued()).toBe("");
    });
});
