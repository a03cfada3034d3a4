import { type TestContext, describe, expect, test } from "vitest";
import { markGeneration } from "../../components/haproxy/render";
import {
    applyScript,
    type Ended,
    Host,
    type OnOutput,
    configFor,
    debianDefault,
    generationOf,
} from "./haproxy-host/host";
import type { Answer } from "./haproxy-host/town";

const cfg = "/etc/haproxy/haproxy.cfg";
const [a, b, c] = ["127.0.1.1", "127.0.1.2", "127.0.1.3"] as const;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function newHost(context: TestContext, options?: { etcKiB: number }): Promise<Host> {
    const host = await Host.start(options);
    context.onTestFinished(() => host.stop());
    return host;
}

/** A host that serves these servers by a first run of the script. */
async function servingHost(context: TestContext, config: string, ...addresses: string[]): Promise<Host> {
    const host = await newHost(context);
    for (const address of addresses) await host.call("serve", address);
    expect(await host.apply(config)).toMatchObject({ code: 0, stderr: "" });
    return host;
}

/** The same configuration with other text in it and a marker that fits. */
function edited(config: string, search: string, replacement: string): string {
    expect(config).toContain(search);
    return markGeneration(config.replace(/^ *description gen=.*\n/m, "").replace(search, replacement));
}

/** It said no: exit code, file and running generation are as before, and no half-made file is left. */
async function expectUnchanged(host: Host, config: string, { code }: Ended): Promise<void> {
    expect(code).not.toBe(0);
    expect(await host.generation()).toBe(generationOf(config));
    expect(await host.file(cfg)).toBe(config);
    expect((await host.run("ls /etc/haproxy")).stdout).not.toContain("haproxy.cfg.new");
}

describe.concurrent("the script that applies haproxy.cfg", () => {
    // The longest first: the others run beside them.
    test("puts the old text back when no reload arrives", async (context) => {
        const before = configFor({ 0: a });
        const host = await servingHost(context, before, a);
        await host.run("echo 3 >/run/lose-reloads");
        const ended = await host.apply(configFor({ 0: a }, { drainSeconds: 21 }));
        await expectUnchanged(host, before, ended);
        expect(ended.stderr).toContain(
            `not loaded (after 3 reloads no worker has it); generation ${generationOf(before)} serves as before`,
        );
    });

    test("fails while an old worker is still there, also when run again, and succeeds when it is gone", async (context) => {
        const [before, after] = [
            configFor({ 0: a, 1: b }, { drainSeconds: 3 }),
            configFor({ 0: a }, { drainSeconds: 3 }),
        ];
        const host = await servingHost(context, before, a, b);
        const worker = await workerPid(host);
        const slow = Array.from({ length: 4 }, () => host.call("request", "/slow?ms=9000"));
        await sleep(200);
        const ended = await host.apply(after, 5, (text) => {
            // Frozen, it outlives hard-stop-after.
            if (text.includes("reloaded")) void host.run(`kill -STOP ${worker}`);
        });
        expect(ended.code).not.toBe(0);
        // On a busy machine a second may pass between two looks.
        expect(ended.stdout).toMatch(
            new RegExp(
                `old worker\\(s\\) ${worker} still there after \\d+ s of at most 8 s \\(connections: unknown\\)`,
            ),
        );
        expect(ended.stderr).toContain(
            `generation ${generationOf(after)} serves, but the old worker(s) ${worker} did not end within 8 s`,
        );

        const second = await host.apply(after, 5, (text) => {
            if (text.includes("nothing to do")) setTimeout(() => void host.run(`kill -CONT ${worker}`), 500);
        });
        expect(second).toMatchObject({ code: 0, stderr: "" });
        expect(second.stdout).toMatch(/nothing to do\nold worker\(s\) ended after \d s\n/);
        await Promise.all(slow);
    });

    test("takes over from Debian's configuration, then does nothing for the same text", async (context) => {
        const host = await newHost(context);
        await host.call("serve", a);
        const config = configFor({ 0: a });
        const first = await host.apply(config);
        expect(first).toMatchObject({ code: 0, stderr: "" });
        expect(first.stdout).toContain("asking 1 new server(s): web-0\nweb-0 answered after");
        expect(first.stdout).toContain(`started: generation ${generationOf(config)}`);
        expect(await host.generation()).toBe(generationOf(config));
        expect((await host.call("request", "/")).body).toBe(a);
        expect((await host.run(`stat -c '%U %G %a' ${cfg}`)).stdout).toBe("root root 644\n");
        expect(await host.file(`${cfg}.prev`)).toBe(debianDefault);

        const again = await host.apply(config);
        expect(again).toMatchObject({ code: 0, stderr: "" });
        expect(again.stdout).toBe(`generation ${generationOf(config)} is running already: nothing to do\n`);
        expect(await host.file("/run/reloads")).toBe("");
    });

    test("asks only the servers that are new, and reloads", async (context) => {
        const [two, three] = [configFor({ 0: a, 1: b }), configFor({ 0: a, 1: b, 2: c })];
        const host = await servingHost(context, two, a, b);
        await host.call("setHealth", a, 500); // sick, but known: no reason to refuse a third
        await host.call("serve", c);
        const { code, stdout, stderr } = await host.apply(three);
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        expect(stdout).toContain("asking 1 new server(s): web-2\n");
        expect(stdout).toContain(
            `reloaded: generation ${generationOf(three)} (was ${generationOf(two)})\nold worker(s) ended after`,
        );
        expect(await host.file(`${cfg}.prev`)).toBe(two);
    });

    test("asks the question that HAProxy's own check asks", async (context) => {
        const host = await newHost(context);
        await host.call("serve", a, 503);
        await host.apply(configFor({ 0: a }), 3);
        const asked = await host.call("seen", a);
        await host.call("serve", b);
        expect(await host.apply(configFor({ 1: b }))).toMatchObject({ code: 0 });
        await sleep(1000);
        await host.call("serve", c); // known from here on to HAProxy alone: nothing asks it but the check
        await host.apply(configFor({ 1: b, 2: c }));
        const checked = (await host.call("seen", b)).at(-1);
        expect(checked).toEqual(asked[0]);
        expect(checked?.headers).toEqual({ host: ["health-check"], connection: ["close"] });
    });

    test("changes nothing when a new server does not answer, and names it with its last answer", async (context) => {
        const before = configFor({ 0: a });
        const host = await servingHost(context, before, a);
        await host.call("serve", b, 404);
        await host.call("serve", "127.0.1.9");
        const ended = await host.apply(configFor({ 0: a, 1: b, 2: c, 3: "127.0.1.9" }), 6);
        await expectUnchanged(host, before, ended);
        expect(ended.stdout).toMatch(
            /^asking 3 new server\(s\): web-1, web-2, web-3\nweb-3 answered after \d s \(HTTP 200\)\n$/,
        );
        expect(ended.stderr).toMatch(
            /no good answer within \d s, nothing was changed: web-1 \(HTTP 404; set-up ended\), web-2 \(Failed to connect to 127\.0\.1\.3 port 8080.*; set-up ended\)\.\n/,
        );
        expect(await host.file("/run/reloads")).toBe("");
    });

    test("waits for a new server that starts late, and tells so now and then", async (context) => {
        const host = await servingHost(context, configFor({ 0: a }), a);
        await host.call("serve", b, 503);
        const { code, stdout } = await host.apply(configFor({ 0: a, 1: b }), 30, (text) => {
            if (text.includes("no good answer")) void host.call("setHealth", b, 200);
        });
        expect(code).toBe(0);
        expect(stdout).toMatch(
            /no good answer after 1\d s: web-1 \(HTTP 503; set-up ended\)\nweb-1 answered after 1\d s \(HTTP 200\)\n/,
        );
    });

    test("starts a new host although one server is sick, but not without any", async (context) => {
        const host = await newHost(context);
        const config = configFor({ 0: a, 1: b });
        const refused = await host.apply(config, 1);
        expect(refused.code).not.toBe(0);
        expect(refused.stderr).toMatch(/nothing was changed: web-0 \(.*\), web-1 \(.*\)\./);
        expect(await host.file(cfg)).toBe(debianDefault);
        await host.call("serve", a);
        const { code, stdout, stderr } = await host.apply(config, 6);
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        expect(stdout).toMatch(
            /warning: no good answer, left to HAProxy's own check: web-1 \(Failed to connect/,
        );
        expect((await host.call("request", "/")).body).toBe(a);
    });

    test("lets no server in while its set-up runs, however well it answers; asks now and then", async (context) => {
        const before = configFor({ 0: a });
        const host = await servingHost(context, before, a);
        // As after the installation of a package: its default page.
        await host.call("serve", b);
        await host.setUp(b, "set-up runs");
        const ended = await host.apply(configFor({ 0: a, 1: b }), 13, (text) => {
            // The set-up closes the port and ends.
            if (!text.includes("no good answer after")) return;
            void host.call("setHealth", b, 503).then(() => host.setUp(b, "set-up ended"));
        });
        await expectUnchanged(host, before, ended);
        expect(ended.stdout).toMatch(/no good answer after 1\d s: web-1 \(HTTP 200; set-up runs\)\n/);
        expect(ended.stdout).not.toContain("answered");
        expect(ended.stderr).toMatch(/nothing was changed: web-1 \(HTTP 503; set-up (ended|runs)\)\.\n/);
        const asked = (await host.file("/run/set-up-asked")).match(/127\.0\.1\.2$/gm);
        expect(asked?.length).toBeLessThan(6);
    });

    test("lets a server in that answers after its set-up has ended", async (context) => {
        const host = await servingHost(context, configFor({ 0: a }), a);
        await host.call("serve", b);
        await host.setUp(b, "set-up runs");
        const { code, stdout } = await host.apply(configFor({ 0: a, 1: b }), 30, (text) => {
            if (text.startsWith("asking")) setTimeout(() => void host.setUp(b, "set-up ended"), 1500);
        });
        expect(code).toBe(0);
        expect(stdout).toMatch(
            /^asking 1 new server\(s\): web-1\nweb-1 answered after [2-9] s \(HTTP 200\)\n/,
        );
    });

    test("ends at once when a set-up has failed, and shows the end of its log", async (context) => {
        const before = configFor({ 0: a });
        const host = await servingHost(context, before, a);
        await host.call("serve", b);
        for (const address of [b, c])
            await host.setUp(
                address,
                "Welcome!\nset-up failed\nE: no package\u001b[31m nginks\nset-up ended: no\n",
            );
        const began = Date.now();
        const ended = await host.apply(configFor({ 0: a, 1: b, 2: c }), 60);
        expect(Date.now() - began).toBeLessThan(30_000);
        await expectUnchanged(host, before, ended);
        expect(ended.stderr).toMatch(
            /^the set-up of web-[12](, web-2)? failed, nothing was changed\. The end of\n\/var\/log\/cloud-init-output\.log on web-[12]:\nE: no package\[31m nginks\nset-up ended: no\nFix the user data/,
        );
    });

    test("lets no server in whose set-up failed or runs, on a new host too", async (context) => {
        const host = await newHost(context);
        const config = configFor({ 0: a, 1: b });
        for (const address of [a, b]) await host.call("serve", address);
        await host.setUp(b, "set-up runs");
        const running = await host.apply(config, 8);
        expect(running.code).not.toBe(0);
        expect(running.stderr).toMatch(/nothing was changed: web-1 \(HTTP 200; set-up runs\)\./);
        await host.setUp(b, "set-up failed\nE: no package");
        const failed = await host.apply(config, 60);
        expect(failed.code).not.toBe(0);
        expect(failed.stderr).toContain("the set-up of web-1 failed, nothing was changed.");
        expect(await host.file(cfg)).toBe(debianDefault);
    });

    test("says what has to be allowed where SSH is refused; on a new host it is a warning", async (context) => {
        const host = await servingHost(context, configFor({ 0: a }), a);
        await host.call("serve", b);
        await host.setUp(b, "dropscale@127.0.1.2: Permission denied (publickey).");
        const ended = await host.apply(configFor({ 0: a, 1: b }), 6);
        await expectUnchanged(host, configFor({ 0: a }), ended);
        expect(ended.stderr).toContain(
            "web-1 (HTTP 200; set-up not known, SSH says: dropscale@127.0.1.2: Permission denied (publickey).)",
        );
        expect(ended.stderr).toMatch(
            /asks over SSH as dropscale, .*\nallow that there \(port 22 .*AllowUsers/,
        );
        await host.run("systemctl stop haproxy; rm /etc/haproxy/haproxy.cfg*");
        const { code, stdout } = await host.apply(configFor({ 0: a, 1: b }), 6);
        expect(code).toBe(0);
        expect(stdout).toContain(
            "warning: no good answer, left to HAProxy's own check: web-1 (HTTP 200; set-up not known",
        );
    });

    test("asks no server that serves already for its set-up, whatever the question is", async (context) => {
        const host = await servingHost(context, configFor({ 0: a }), a);
        await host.setUp(a, "set-up failed");
        await host.run("rm /run/set-up-asked");
        expect(await host.apply(configFor({ 0: a }, { healthPath: "/" }))).toMatchObject({
            code: 0,
            stderr: "",
        });
        expect(await host.file("/run/set-up-asked")).toBe("");
    });

    test("asks under the name that the app answers, and shows the whole question and what came", async (context) => {
        const host = await servingHost(context, configFor({ 0: a }), a);
        await host.call("serve", b, 301);
        const settings = { healthPath: "/healthz?a=1", healthHost: "www.example.com:8000" };
        const ended = await host.apply(configFor({ 0: a, 1: b }, settings), 6);
        await expectUnchanged(host, configFor({ 0: a }), ended);
        expect(ended.stderr).toContain(
            "web-1: GET http://127.0.1.2:8080/healthz?a=1 with Host: www.example.com:8000 gets HTTP 301, Location: /elsewhere, first line: 127.0.1.2\n",
        );
        const hosts = (await host.call("seen", b)).map(({ headers }) => headers.host?.join());
        expect(new Set(hosts)).toEqual(new Set(["www.example.com:8000"]));
    });

    test("asks every server again when the question or the port is another", async (context) => {
        const before = configFor({ 0: a });
        const host = await servingHost(context, before, a);
        await host.call("setHealth", a, 404);
        const ended = await host.apply(configFor({ 0: a }, { healthPath: "/healthz?deep=1" }), 3);
        await expectUnchanged(host, before, ended);
        expect(ended.stderr).toContain("web-0 (HTTP 404; set-up ended)");
    });

    test("leaves file and process alone when HAProxy refuses the text, and passes on its words", async (context) => {
        const before = configFor({ 0: a });
        const host = await servingHost(context, before, a);
        const ended = await host.apply(edited(before, "timeout connect 2s", "timeout connect soon"));
        await expectUnchanged(host, before, ended);
        expect(ended.stderr).toMatch(
            /HAProxy refuses the new haproxy\.cfg, nothing was changed:\n\[ALERT\].*unexpected character 's' in 'timeout connect'/,
        );
        expect(ended.stdout).toBe("");
        expect((await host.call("request", "/")).body).toBe(a);
    });

    test("refuses other chroot and user lines", async (context) => {
        const before = configFor({ 0: a });
        const host = await servingHost(context, before, a);
        const ended = await host.apply(edited(before, "user haproxy", "user nobody"));
        await expectUnchanged(host, before, ended);
        expect(ended.stderr).toContain(
            "refused: chroot /var/lib/haproxy; user nobody; group haproxy; stats socket",
        );
    });

    test("refuses a text that was cut on its way", async (context) => {
        const before = configFor({ 0: a });
        const host = await servingHost(context, before, a);
        const ended = await host.apply(configFor({ 0: a }, { drainSeconds: 30 }).slice(0, -20));
        await expectUnchanged(host, before, ended);
        expect(ended.stderr).toBe(
            "haproxy.cfg did not arrive whole, nothing was changed: run 'pulumi up' again.\n",
        );
    });

    test("leaves everything as it was when the disk is full, and works when it is not", async (context) => {
        const [before, after] = [configFor({ 0: a }), configFor({ 0: a, 1: b })];
        const host = await newHost(context, { etcKiB: 60 });
        for (const address of [a, b]) await host.call("serve", address);
        expect(await host.apply(before)).toMatchObject({ code: 0 });
        await host.run("dd if=/dev/zero of=/etc/haproxy/fill bs=1k count=100");
        const ended = await host.apply(after);
        await expectUnchanged(host, before, ended);
        expect(ended.stderr).toContain("No space left on device");
        await host.run("rm /etc/haproxy/fill");
        expect(await host.apply(after)).toMatchObject({ code: 0 });
        expect(await host.generation()).toBe(generationOf(after));
    });

    test("reloads again when a reload was lost", async (context) => {
        const [before, after] = [configFor({ 0: a }), configFor({ 0: a }, { drainSeconds: 21 })];
        const host = await servingHost(context, before, a);
        await host.run("echo 1 >/run/lose-reloads");
        const { code, stdout } = await host.apply(after);
        expect(code).toBe(0);
        expect(stdout).toContain(
            "no worker with the new text after 10 s: reloading again\nreloaded: generation",
        );
        expect(await host.generation()).toBe(generationOf(after));
    });

    test("puts Debian's configuration back when port 80 is taken on a new host, and passes on HAProxy's words", async (context) => {
        const host = await newHost(context);
        await host.call("serve", a);
        await host.call("takePort", 80);
        const { code, stderr } = await host.apply(configFor({ 0: a }));
        expect(code).not.toBe(0);
        expect(stderr).toContain("cannot bind socket (Address already in use)");
        expect(await host.file(cfg)).toBe(debianDefault);
        expect((await host.run("systemctl is-active haproxy")).stdout).toBe("active\n");
    });

    test("rolls back when the new worker can't have a port, and serves on", async (context) => {
        const before = configFor({ 0: a });
        const host = await servingHost(context, before, a);
        await host.call("takePort", 90);
        // A second port that is no bind line, for nothing else passes `haproxy -c` and then fails.
        const withPeer = edited(
            before,
            "\nbackend pool\n",
            "\npeers all\n    peer me 127.0.0.1:90\n\nbackend pool\n",
        );
        const ended = await host.apply(
            edited(withPeer, "maxconn 6000\n", "maxconn 6000\n    localpeer me\n"),
        );
        await expectUnchanged(host, before, ended);
        expect(ended.stderr).toContain(
            `(HAProxy could not load it); generation ${generationOf(before)} serves as before`,
        );
        expect(ended.stderr).toContain("Address already in use");
        expect((await host.call("request", "/")).body).toBe(a);
        // HAProxy counts the failure until a reload succeeds: the next run is not confused by it.
        expect(await host.apply(configFor({}))).toMatchObject({ code: 0 });
    });

    test.for([
        ["asks new servers", "asking", configFor({ 0: a, 1: c })],
        ["waits for old workers", "reloaded", configFor({ 0: a, 1: b })],
    ])("a later run takes over from one that only %s", async ([, moment = "", first = ""], context) => {
        const [before, after] = [configFor({ 0: a, 1: b, 2: "127.0.1.9" }), configFor({ 0: a })];
        const host = await servingHost(context, before, a, b, "127.0.1.9");
        const slow = Array.from({ length: 6 }, () => host.call("request", "/slow?ms=15000"));
        await sleep(200);
        let later: Promise<Ended> | undefined;
        const ended = await host.apply(first, 60, (text) => {
            if (text.includes(moment)) later ??= host.apply(after);
        });
        expect(ended).toMatchObject({
            code: 143,
            stderr: expect.stringContaining("a later run has taken over") as string,
        });
        expect(await later).toMatchObject({ code: 0, stderr: "" });
        expect((await later)?.stdout).toMatch(
            /another run has the lock, waiting up to 120 s: pid \d+, (asking new servers|waiting for old workers) since /,
        );
        expect(await host.generation()).toBe(generationOf(after));
        // Whoever deletes servers after the later run has waited for the workers of both.
        expect((await Promise.all(slow)).map(({ status }) => status)).toEqual(Array(6).fill(200));
    });

    test("never applies what was staged before the newest text that was to be applied", async (context) => {
        const [old, later, newest] = [configFor({ 0: a }), configFor({ 0: a, 1: b }), configFor({ 1: b })];
        const host = await servingHost(context, old, a, b);
        const [first, second] = [
            (await host.stage(later)).stdout.trim(),
            (await host.stage(newest)).stdout.trim(),
        ];
        expect(second).not.toBe(first);
        expect(await host.applyStaged(second)).toMatchObject({ code: 0, stderr: "" });
        // As from a plugin that outlived its killed engine, and reaches the host only now.
        const late = await host.applyStaged(first);
        await expectUnchanged(host, newest, late);
        expect(late.stderr).toContain(
            `text ${first} is older than one that was applied here since (3), nothing was changed`,
        );
        expect(late.stderr).toContain("pulumi up --replace '**:Command::haproxy-staged'");
        expect(await host.applyStaged(second)).toMatchObject({ code: 0, stderr: "" });
    });

    test("gives every staged text another word, the same text too, and keeps none that can't be applied any more", async (context) => {
        const [one, two] = [configFor({ 0: a }), configFor({ 0: a }, { drainSeconds: 21 })];
        const host = await servingHost(context, one, a);
        const words = [];
        for (const text of [one, one, two]) words.push((await host.stage(text)).stdout.trim());
        expect(words.map((word) => word.split("-")[0])).toEqual(["2", "3", "4"]);
        expect(await host.applyStaged(words[2] ?? "")).toMatchObject({ code: 0 });
        expect((await host.run("ls /etc/haproxy/staged")).stdout).toBe(`${words[2]}.cfg\nlock\nnewest\n`);
        const gone = await host.applyStaged("9-00000000");
        await expectUnchanged(host, two, gone);
        expect(gone.stderr).toContain("there is no text 9-00000000 on this load balancer");
    });

    test("gives up on a lock that is never free", async (context) => {
        const before = configFor({ 0: a });
        const host = await servingHost(context, before, a);
        const { stdout: word } = await host.stage(configFor({}));
        const holder = host.run(
            "echo -n 'pid 7, a test since 00:00:00Z' >/run/dropscale-haproxy.lock; flock /run/dropscale-haproxy.lock sleep 9",
        );
        await sleep(500);
        const { code, stderr } = await host.run(`LOCK_SECONDS=1 ${applyScript} apply ${word.trim()} 5`);
        expect(code).not.toBe(0);
        expect(stderr).toContain("another run still has the lock after 1 s: pid 7, a test since 00:00:00Z.");
        expect(await host.generation()).toBe(generationOf(before));
        await holder;
    });

    test("removes a server without losing a request", async (context) => {
        const [before, after] = [configFor({ 0: a, 1: b, 2: c }), configFor({ 0: a })];
        const host = await servingHost(context, before, a, b, c);
        await host.call("startLoad", 6);
        await sleep(500);
        const slow: Promise<Answer>[] = [];
        let [inFlight, inFlightAtReload] = [0, 0];
        const ask = setInterval(() => {
            inFlight += 1;
            slow.push(host.call("request", "/slow?ms=2000").finally(() => (inFlight -= 1)));
        }, 100);
        await sleep(1000);
        const ended = await host.apply(after, 5, (text) => {
            if (text.includes("reloaded")) inFlightAtReload = inFlight;
        });
        clearInterval(ask);
        expect(ended).toMatchObject({ code: 0, stderr: "" });
        expect(inFlightAtReload).toBeGreaterThan(5);
        for (const leaving of [b, c]) await host.call("destroy", leaving); // what the engine does next
        const answers = await Promise.all(slow);
        expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
        expect(new Set(answers.map(({ body }) => body)).size).toBe(3);
        await sleep(500);
        const load = await host.call("endLoad");
        expect(load?.failures).toEqual([]);
        const count = Object.values(load?.answers ?? {}).reduce((sum, one) => sum + one, 0);
        expect(count).toBeGreaterThan(300);
        expect((await host.call("request", "/")).body).toBe(a);
    });

    test("goes on from a run that died between the move and the reload", async (context) => {
        const running = configFor({ 0: a });
        const host = await servingHost(context, running, a);
        await host.run(
            `ln ${cfg} ${cfg}.prev2 && mv ${cfg}.prev2 ${cfg}.prev && cat >${cfg}.new && mv ${cfg}.new ${cfg}`,
            configFor({ 0: a, 1: b }),
        );
        // web-1 stands in the file, but nothing that runs knows it: it is still new.
        const ended = await host.apply(configFor({ 0: a, 1: b }), 1);
        expect(ended.stderr).toContain("nothing was changed: web-1");
        expect(await host.generation()).toBe(generationOf(running));
        await host.call("serve", b);
        expect(await host.apply(configFor({ 0: a, 1: b }))).toMatchObject({ code: 0 });
        expect(await host.generation()).toBe(generationOf(configFor({ 0: a, 1: b })));
        expect(await host.file(`${cfg}.prev`)).toBe(running);
    });

    test("writes its text over one that was edited by hand", async (context) => {
        const config = configFor({ 0: a });
        const host = await servingHost(context, config, a);
        await host.run(`sed -i 's/retries 1/retries 9/' ${cfg} && systemctl reload haproxy && sleep 1`);
        expect(await host.apply(config)).toMatchObject({ code: 0, stderr: "" });
        expect(await host.file(cfg)).toBe(config);
        expect(await host.file("/run/reloads")).toBe("reload\nreload\n");
    });

    test("starts HAProxy where it is down and /run/haproxy is missing", async (context) => {
        const config = configFor({ 0: a });
        const host = await servingHost(context, config, a);
        await host.run("systemctl stop haproxy; rm -r /run/haproxy /run/haproxy-master.sock");
        expect(await host.apply(config)).toMatchObject({ code: 0, stderr: "" });
        expect(await host.generation()).toBe(generationOf(config));
    });

    test("changes nothing when HAProxy runs but does not answer", async (context) => {
        const config = configFor({ 0: a });
        const host = await servingHost(context, config, a);
        await host.run("mv /run/haproxy-master.sock /run/hidden");
        const ended = await host.apply(configFor({}));
        await host.run("mv /run/hidden /run/haproxy-master.sock");
        await expectUnchanged(host, config, ended);
        expect(ended.stderr).toContain("no worker answers on /run/haproxy-master.sock: nothing was changed.");
    });

    test("stops asking when the connection is gone, but ends what it has begun", async (context) => {
        const [before, after] = [configFor({ 0: a }), configFor({ 0: a, 1: b })];
        const host = await servingHost(context, before, a);
        const hangUp: OnOutput = (_text, script) => script.stdout?.destroy();
        const asking = await host.apply(after, 60, hangUp);
        await expectUnchanged(host, before, asking);
        expect(asking.stderr).toContain("the connection is gone, nothing was changed.");

        await host.call("serve", b);
        const slow = host.call("request", "/slow?ms=2000");
        await sleep(200);
        const draining = await host.apply(after, 60, hangUp); // its first line says that it asks web-1, which answers
        expect(draining.code).toBe(0);
        expect(await host.generation()).toBe(generationOf(after));
        expect((await slow).status).toBe(200);
    });

    test("serves the 503 page for an empty pool", async (context) => {
        const host = await servingHost(context, configFor({ 0: a }), a);
        expect(await host.apply(configFor({}))).toMatchObject({ code: 0, stderr: "" });
        expect(await host.call("request", "/")).toMatchObject({
            status: 503,
            body: expect.stringContaining("Back in a moment") as string,
        });
    });
});

async function workerPid(host: Host): Promise<string> {
    const { stdout } = await host.run(
        "echo 'show proc' | socat -t 5 - UNIX-CONNECT:/run/haproxy-master.sock",
    );
    return /^(\d+) +worker/m.exec(stdout)?.[1] ?? "none";
}
