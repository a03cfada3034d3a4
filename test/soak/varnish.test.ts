import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { Visitors } from "../e2e/client";
import { servedSite } from "../e2e/served-site";
import { callApi, dropletNamed, inDroplet } from "../faults.mts";
import { asking, eventually, onServer, phpPage } from "../php-site.mts";
import { upEndsWell } from "../world.mts";

describe.each(["debian-12-x64", "debian-13-x64"])("userdata/varnish.yaml on %s", (image) => {
    const site = servedSite({ replicas: 1, userdata: "varnish", image });
    let id = 0;
    const inside = (command: string) => inDroplet(site.world, id, command);

    beforeAll(async () => {
        ({ id } = await dropletNamed(site.world, "web-0"));
        await inDroplet(site.world, id, "cat >/var/www/app/t.php", phpPage);
    });

    const ask = (...args: Parameters<ReturnType<typeof asking>>) => asking(site.url)(...args);

    let made = 0;
    /** An address that nobody has asked for. */
    const fresh = (headers: string[] = ["Cache-Control: max-age=600"]) =>
        `/t.php?page=${++made}${headers.map((line) => `&h[]=${encodeURIComponent(line)}`).join("")}`;

    it("sized itself, closed the rest, and was ready no sooner than it was set up", async () => {
        const total = Number(await inside("awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo"));
        expect(await inside("cat /etc/varnish/memory")).toBe(`CACHE=${Math.floor((total - 388) / 4)}M\n`);
        expect(await inside("ps -C $(basename /usr/sbin/php-fpm?*) -o args= | grep -c 'pool www'")).toBe(
            "4\n",
        );
        const listening = await inside("ss -Hltn | awk '{ print $4 }' | sort -u");
        expect(listening.split("\n").filter((at) => !at.startsWith("127.") && !at.startsWith("["))).toEqual([
            "0.0.0.0:22",
            "0.0.0.0:80",
            "",
        ]);
        expect((await ask("/")).body).toContain("<dt>Made by PHP at</dt>");
    });

    it("keeps a page, whole, in part, and for HEAD", async () => {
        const at = fresh();
        const first = await ask(at);
        expect(first.headers["x-cache"]).toBe("miss");
        const second = await ask(at);
        expect(second).toMatchObject({ body: first.body, status: 200 });
        expect(second.headers["x-cache"]).toBe("hit");
        for (const hidden of ["via", "x-varnish", "x-powered-by"])
            expect(second.headers[hidden]).toBeUndefined();
        const head = await ask(at, [], "HEAD");
        expect(head).toMatchObject({ status: 200, body: "" });
        expect(head.headers["x-cache"]).toBe("hit");
        const part = await ask(at, ["Range", "bytes=2-7"]);
        expect(part).toMatchObject({ status: 206, body: first.body.slice(2, 8) });
        // A client that wants news from PHP would be a client that decides over its load.
        expect((await ask(at, ["Cache-Control", "no-cache", "Pragma", "no-cache"])).number).toBe(
            first.number,
        );
    });

    it.each<[string, string[], string?]>([
        ["a session's cookie", ["Cookie", "session=secret"]],
        ["a cookie behind one of Google's", ["Cookie", "_ga=GA1.2; session=secret; _gid=3"]],
        ["a cookie in a line of its own", ["Cookie", "_ga=GA1.2", "Cookie", "session=secret"]],
        ["a cookie whose name ends like Google's", ["Cookie", "my_ga=secret"]],
        ["Authorization", ["Authorization", "Basic c2VjcmV0OnNlY3JldA=="]],
        ["a key", ["X-Api-Key", "secret"]],
        ["another method in a header", ["X-HTTP-Method-Override", "DELETE"]],
        ["a script", ["X-Requested-With", "XMLHttpRequest"]],
        ["POST", [], "POST"],
        ["PUT", [], "PUT"],
        ["OPTIONS", [], "OPTIONS"],
    ])("neither answers %s from the cache nor keeps its answer", async (_, headers, method = "GET") => {
        const [kept, unknown] = [fresh(), fresh()];
        const forAll = await ask(kept);
        const [one, two] = [await ask(kept, headers, method), await ask(kept, headers, method)];
        expect(new Set([forAll.number, one.number, two.number]).size).toBe(3);
        expect(one.headers["x-cache"]).toBe("pass");
        expect((await ask(kept)).number).toBe(forAll.number);
        // Where nothing is kept yet, too.
        const personal = await ask(unknown, headers, method);
        const others = await ask(unknown);
        expect(others.number).not.toBe(personal.number);
        expect(others.body).not.toContain("secret");
    });

    it.each([
        ["Set-Cookie: session=secret"],
        ["Cache-Control: private, max-age=600"],
        ["Cache-Control: no-store"],
        ["Cache-Control: no-cache"],
        ["Cache-Control: max-age=0"],
        ["Expires: Thu, 01 Jan 1970 00:00:00 GMT"],
        ["Expires: 0"],
        ["Pragma: no-cache"],
        ["Vary: *"],
        ["Vary: Accept-Language, *"],
    ])("keeps no answer with %s", async (...headers) => {
        const at = fresh(headers);
        const [one, two, three] = [await ask(at), await ask(at), await ask(at)];
        expect(new Set([one.number, two.number, three.number]).size).toBe(3);
    });

    it("hears no body of a GET: it could make a page for all", async () => {
        const at = fresh();
        const { asked, number } = await ask(at, [], "GET", "evil=1");
        expect(asked.body).toBe("");
        expect((await ask(at)).number).toBe(number);
    });

    it("keeps pages from visitors whose cookies are for scripts alone, and PHP sees none of those", async () => {
        const at = fresh();
        const first = await ask(at, [
            "Cookie",
            "_ga=GA1.2.3; _ga_X1=4; _gcl_au=1.1; _fbp=fb.1; _pk_id.1.1f=a",
        ]);
        expect(first.asked.HTTP_COOKIE).toBeUndefined();
        expect((await ask(at)).number).toBe(first.number);
        const { asked } = await ask(at, ["Cookie", "_ga=GA1.2.3; session=1; _gid=2; theme=dark"]);
        expect(asked.HTTP_COOKIE?.split(/;\s*/)).toEqual(["session=1", "theme=dark"]);
    });

    it("has a page for each address, host, protocol and, with Vary, language", async () => {
        const at = fresh(["Cache-Control: max-age=600", "Vary: Accept-Language"]);
        const over = async (proto: string) => {
            const command = `curl -s -H 'Host: www.example.com' -H 'X-Forwarded-Proto: ${proto}' -g '127.0.0.1${at}'`;
            return JSON.parse(await inside(command)) as Record<string, string>;
        };
        const { number, asked } = await ask(at);
        expect((await over("http")).number).toBe(number);
        const secure = await over("https");
        expect([number, secure.number]).toEqual([asked.number, (await over("https")).number]);
        expect(secure.number).not.toBe(number);
        expect(asked).toMatchObject({ SERVER_PORT: "80", SERVER_NAME: "www.example.com" });
        expect(secure).toMatchObject({ HTTPS: "on", SERVER_PORT: "443" });
        expect((await ask(at, ["Host", "WWW.example.com"])).number).toBe(number);
        const others = [
            await ask(`${at}&more=1`),
            await ask(at, ["Host", "other.example.com"]),
            await ask(at, ["Accept-Language", "de"]),
        ];
        expect(new Set([number, ...others.map((one) => one.number)]).size).toBe(4);
    });

    it("tells PHP who the client is, whatever the client says", async () => {
        const host = site.world.instance.addresses.uplinkHost;
        expect((await ask(fresh())).asked.REMOTE_ADDR).toBe(host);
        const forged = ["X-Forwarded-For", "203.0.113.9", "X-Real-IP", "203.0.113.9"];
        expect((await ask(fresh(), forged)).asked.REMOTE_ADDR).toBe(host);
    });

    it("compresses once, for whom that is good", async () => {
        const at = fresh(["Cache-Control: max-age=600", "Content-Type: text/html"]);
        const [gzip, plain] = [await ask(at, ["Accept-Encoding", "gzip"]), await ask(at)];
        expect([gzip.headers["content-encoding"], plain.headers["content-encoding"]]).toEqual([
            "gzip",
            undefined,
        ]);
        expect(plain.headers["x-cache"]).toBe("hit");
        expect(plain.headers.vary).toContain("Accept-Encoding");
    });

    it("is purged by the operator over SSH, by nobody else", async () => {
        const [at, other] = [fresh(), fresh()];
        const numbers = async () => [(await ask(at)).number, (await ask(other)).number];
        const before = await numbers();
        for (const method of ["PURGE", "BAN"]) expect((await ask(at, [], method)).status).toBe(405);
        const local = await inside(`curl -s -o /dev/null -w '%{http_code}' -X PURGE -g '127.0.0.1${at}'`);
        expect(local).toBe("405");
        expect(await numbers()).toEqual(before);
        const outputs = await site.world.outputs();
        await onServer(outputs, `purge-cache 'page=${made - 1}&'`);
        const [purged, stayed] = await numbers();
        expect(purged).not.toBe(before[0]);
        expect(stayed).toBe(before[1]);
        await onServer(outputs, "purge-cache");
        expect((await ask(other)).number).not.toBe(stayed);
    });

    it("shows what it has while PHP is down, and is out of the pool until PHP is back", async () => {
        const at = fresh(["Cache-Control: max-age=1"]);
        const late = fresh(["Cache-Control: max-age=1"]);
        const [{ number }] = [await ask(at), await ask(late)];
        await sleep(2000);
        // Late, but PHP is well: the old one at once, and a new one for the next.
        const stale = await ask(late);
        expect(stale.headers["x-cache"]).toBe("stale");
        await eventually(async () => {
            expect((await ask(late)).number).not.toBe(stale.number);
        });
        await sleep(10_000);
        const php = (await inside("basename -s .service /lib/systemd/system/php*-fpm.service")).trim();
        await inside(`systemctl stop ${php}`);
        await eventually(async () => {
            expect((await ask("/healthz")).status).toBe(503);
        });
        await sleep(3000);
        const locally = await inside(
            `curl -si -H 'Host: www.example.com' -H 'X-Forwarded-Proto: http' -g '127.0.0.1${at}'`,
        );
        expect(locally).toMatch(/^HTTP\/1.1 200 /);
        expect(locally).toContain("X-Cache: stale");
        expect(locally).toContain(number);
        expect(await inside("curl -s -o /dev/null -w '%{http_code}' 127.0.0.1/t.php?never")).toBe("503");
        await inside(`systemctl start ${php}`);
        await eventually(async () => {
            expect((await ask("/healthz")).status).toBe(200);
        });
        // Its first visitors lose nothing either.
        expect((await ask(fresh())).status).toBe(200);
        await eventually(async () => {
            expect((await ask(at)).number).not.toBe(number);
        });
    });

    it("puts no error of the app's in a good page's place, and keeps none", async () => {
        const at = fresh(["Cache-Control: max-age=2"]);
        const { number } = await ask(at);
        await sleep(2500);
        await inside("touch /var/www/app/broken");
        for (let i = 0; i < 3; i++) {
            expect(await ask(at)).toMatchObject({ status: 200, number });
            await sleep(200);
        }
        const never = fresh();
        expect((await ask(never)).status).toBe(500);
        await inside("rm /var/www/app/broken");
        await sleep(1500);
        expect((await ask(never)).status).toBe(200);
    });

    it("shows what it has while the app says that it is not well, and stays in the pool", async () => {
        const at = fresh(["Cache-Control: max-age=1"]);
        const { number } = await ask(at);
        const probe = (url: string) =>
            inside(
                `sed -i 's#[.]url = "[^"]*"#.url = "${url}"#' /etc/varnish/app.vcl && systemctl reload varnish`,
            );
        await probe("/t.php");
        await inside("touch /var/www/app/broken");
        // Longer than what is shown late while all is well.
        await sleep(15_000);
        const stale = await ask(at);
        expect([stale.status, stale.number, stale.headers["x-cache"]]).toEqual([200, number, "stale"]);
        expect((await ask("/healthz")).status).toBe(200);
        expect((await ask(fresh())).status).toBe(503);
        await inside("rm /var/www/app/broken");
        await eventually(async () => {
            expect((await ask(at)).number).not.toBe(number);
        });
        await probe("/healthz");
    });

    it("hides dot files", async () => {
        await inside("cd /var/www/app && echo secret >.env && mkdir .git && echo secret >.git/config");
        for (const at of ["/.env", "/.git/config"]) {
            const { status, body } = await ask(at);
            expect([status, body.includes("secret")]).toEqual([404, false]);
        }
    });

    it("serves another release as soon as it is linked, scripts and pages", async () => {
        const release = (name: string) =>
            `rm -rf releases/${name} && mkdir -p releases && cp -a /var/www/app releases/${name} && ` +
            `echo '<?php echo __DIR__;' >releases/${name}/index.php && ln -sfn releases/${name} new && mv -fT new current`;
        const site = "/var/lib/dropscale/site";
        for (const name of ["one", "two"]) {
            await inside(`cd ${site} && ${release(name)}`);
            await eventually(async () => {
                expect((await ask("/")).body).toBe(`${site}/releases/${name}`);
            });
            expect((await ask("/")).headers["x-cache"]).toBe("hit");
            // Through index.php, as apps with addresses of their own want it.
            expect((await ask("/some/page")).body).toBe(`${site}/releases/${name}`);
        }
        // A page of one server asks another for its files, which may have the release after it, or the one before.
        for (const [link, name] of Object.entries({ other: "one", before: "zero" })) {
            await inside(
                `cd ${site} && mkdir -p releases/${name} && ln -sfn releases/${name} ${link} && echo ${link} >${link}/${link}.css`,
            );
            expect((await ask(`/${link}.css`)).body).toBe(`${link}\n`);
        }
        await inside(
            `cd ${site} && rm -r other before releases && ln -sfn /var/www/app new && mv -fT new current`,
        );
        // Its last purge is to come: what PHP was still making goes, too. Here it would be in the next tests' way.
        await eventually(async () => {
            expect(await inside("cat /run/purged-for")).toBe("/var/www/app\n");
        });
        expect(await inside("systemctl list-units --plain --no-legend 'run-*.timer'")).toContain(
            "purge-cache",
        );
        await inside("systemctl stop 'run-*.timer'");
    });

    it("stays within its memory with more pages, and larger files, than fit", async () => {
        await inside(
            "head -c 200000000 /dev/zero >/var/www/app/film.mp4; cp /var/www/app/film.mp4 /var/www/app/film",
        );
        for (let i = 0; i < 30; i++)
            await Promise.all(Array.from({ length: 20 }, () => ask(`${fresh()}&kilobytes=600`)));
        const slow = ["film.mp4", "film.mp4", "film", "film", "film"].map((name) =>
            inside(`curl -s --limit-rate 40M -H 'Cookie: a=1' 127.0.0.1/${name} | wc -c`),
        );
        expect(await Promise.all(slow)).toEqual(slow.map(() => "200000000\n"));
        const anonymous = await inside(
            "ps -u vcache -o pid= | xargs -I@ awk '/^RssAnon/ { print $2 }' /proc/@/status | sort -n | tail -1",
        );
        const cache = Number(/\d+/.exec(await inside("cat /etc/varnish/memory"))?.[0]);
        expect(Number(anonymous) / 1024).toBeGreaterThan(cache / 2);
        expect(Number(anonymous) / 1024).toBeLessThan(1.7 * cache);
        expect(await inside("varnishstat -1 -f MGT.child_died")).toMatch(/^MGT.child_died +0 /m);
        expect((await ask("/film.mp4", ["Range", "bytes=0-9"])).status).toBe(206);
    });

    it("comes back after a reboot", async () => {
        await inside("touch /run/before");
        await callApi(site.world, "POST", `/v2/droplets/${id}/actions`, { type: "reboot" });
        await eventually(async () => {
            expect(await inside("ls /run")).not.toContain("before");
        });
        await eventually(async () => {
            expect((await ask("/healthz")).status).toBe(200);
        });
    });

    it("starts anew from an image with all of it on: not before its own set-up, and nobody notices", async () => {
        const { action } = (await callApi(site.world, "POST", `/v2/droplets/${id}/actions`, {
            type: "snapshot",
            name: "baked",
        })) as { action: { id: number } };
        await eventually(async () => {
            expect((await site.world.api(`actions/${action.id}`)).action).toMatchObject({
                status: "completed",
            });
        });
        const { snapshots } = (await site.world.api("snapshots")) as { snapshots: { id: string }[] };
        // It stood still while its disk was copied, and HAProxy has noticed.
        await eventually(async () => {
            expect((await ask("/healthz")).status).toBe(200);
        });
        await site.world.configure({ image: String(snapshots[0]?.id) });
        const visitors = new Visitors(site.url);
        await visitors.during(upEndsWell(site.world));
        expect(visitors.failures).toEqual([]);
        ({ id } = await dropletNamed(site.world, "web-0"));
        const log = await inside("journalctl --unit varnish --boot --output cat");
        expect(log).toMatch(/skipped/);
        expect((await ask("/")).body).toContain(`<dd>${id}</dd>`);
        await inside("systemctl reload varnish && systemctl restart varnish");
    });
});
