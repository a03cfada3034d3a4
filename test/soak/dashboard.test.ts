import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureHostPackages } from "../../sandbox/host.ts";
import { Crowd, startAutoscaler, stopAutoscaler, untilSaid } from "../autoscalers.mts";
import { Browser, type Look } from "../browser.mts";
import { Visitors } from "../e2e/client";
import { servedSite } from "../e2e/served-site";
import { dropletNamed, inDroplet } from "../faults.mts";
import { type Running, start, up } from "../world.mts";

/** Where all pictures go; empty: none are kept. */
const folder = process.env.SCREENSHOTS ?? "";
/** Those of the docs, by the picture's name: `npm run docs:screenshots` makes them. */
const ofDocs: Record<string, string> = {
    "load-desktop": "dashboard-load",
    "dead-desktop-dark": "dashboard-dead",
    "failed-phone": "dashboard-failed",
    "rollout-desktop": "dashboard-rollout",
};
const docs = process.env.DOCS_SCREENSHOTS === undefined ? "" : path.resolve(__dirname, "../../docs/images");
const looks: Record<string, Look> = {
    desktop: { width: 1280, height: 960 },
    "desktop-dark": { width: 1280, height: 960, isDark: true },
    phone: { width: 390, height: 980, isPhone: true },
    "phone-dark": { width: 390, height: 980, isPhone: true, isDark: true },
};

/** What happens to a pool, as a person reads it in a real browser; every step builds on the last. */
describe("the dashboard", () => {
    const site = servedSite({ replicas: 2, autoscale: { min: 2, max: 4, slots: 8, inSeconds: 3000 } });
    let board: Running;
    let browser: Browser;
    let visitors: Visitors;
    let opened: { close: () => Promise<void> } | undefined;
    let scaler: Running | undefined;
    let crowd: Crowd | undefined;

    beforeAll(async () => {
        await ensureHostPackages({ log: console.error, needs: { chromium: "chromium" } });
        visitors = new Visitors(site.url);
        const { folder: cwd, env } = site.world;
        const tool = path.resolve(__dirname, "../../tools/main.ts");
        board = start("tsx", [tool, "dashboard", "test", "--port", "0"], { cwd, env });
        await untilSaid(board, /http:\S+/, { seconds: 60 });
        browser = opened = await Browser.start();
        await browser.open(/http:\S+/.exec(board.printed())?.[0] ?? "");
        await browser.evaluate("document.querySelector('#window [value=\"5\"]').click()");
    });
    afterAll(async () => {
        await Promise.all([crowd?.stop(), visitors.stop(), opened?.close(), stopAutoscaler(scaler)]);
        if (board.isRunning()) process.kill(board.pid, "SIGTERM");
        console.error(board.printed());
    });

    const text = async (id: string) =>
        (await browser.evaluate(`document.getElementById("${id}").innerText`)) as string;
    const says = async (id: string, words: RegExp, seconds = 240) => {
        await expect.poll(() => text(id), { timeout: seconds * 1000, interval: 1000 }).toMatch(words);
    };
    /** Nothing on the page is wider than the screen, and nothing was refused or thrown. */
    async function picture(name: string): Promise<void> {
        for (const [look, how] of Object.entries(looks)) {
            await browser.lookAs(how);
            const width = await browser.evaluate("document.documentElement.scrollWidth");
            expect(width, look).toBeLessThanOrEqual(how.width);
            const png = await browser.screenshot();
            const file = ofDocs[`${name}-${look}`];
            if (docs !== "" && file !== undefined) writeFileSync(path.join(docs, `${file}.png`), png);
            if (folder === "") continue;
            mkdirSync(folder, { recursive: true });
            writeFileSync(path.join(folder, `${name}-${look}.png`), png);
        }
        expect(browser.complaints()).toEqual([]);
    }

    it("shows a load step, and that the autoscaler has answered it", async () => {
        await says("title", /^All 2 servers are UP$/, 30);
        scaler = startAutoscaler(site.world);
        await sleep(30_000);
        crowd = new Crowd(site.url, 14);
        await says("title", /^The servers are busy$/);
        await says("title", /^Scaling 2 → 4 servers: \d of \d servers UP$/);
        await says("title", /^All 4 servers are UP$/);
        await says("answers", /Scaled 2 → 4 servers\n(.*\n)*.*autoscaler: busy \d\.\d\d/);
        await sleep(20_000);
        await picture("load");
    });

    it("shows a roll-out", async () => {
        await crowd?.stop();
        await site.world.configure({ generation: "v2" });
        const { code, text: printed } = await site.world.tool("rollout", ["--stack", "test", "--batch", "2"]);
        expect(code, printed).toBe(0);
        await says("events", /Changed generation none → v2.*\n(.*\n)*.*were replaced/);
        await says("title", /^All 4 servers are UP$/);
        await picture("rollout");
    });

    it("shows a server that is dead, since when and why, and when that is over", async () => {
        const { id } = await dropletNamed(site.world, "web-1");
        await inDroplet(site.world, id, "systemctl stop nginx");
        await says("title", /^web-1 is DOWN: 3 of 4 servers UP$/, 60);
        await says("answers", /connection refused, or no way there \(L4CON\)/);
        await sleep(15_000);
        await picture("dead");
        await inDroplet(site.world, id, "systemctl start nginx");
        await says("title", /^All 4 servers are UP$/, 120);
        await says("events", /web-1 went DOWN over after/);
    });

    it("shows an `up` that failed, and what runs", async () => {
        const file = path.join(site.world.folder, "userdata/nginx.yaml");
        const right = readFileSync(file, "utf8");
        writeFileSync(file, right.replace("runcmd:\n", "runcmd:\n  - exit 7\n"));
        expect((await up(site.world)).code).not.toBe(0);
        await says("title", /^The last pulumi up failed: 4 of 4 servers UP, 4 wanted$/, 90);
        await sleep(5000);
        await picture("failed");
    });

    it("says that the load balancer can't be asked, and comes back by itself", async () => {
        const { id } = await dropletNamed(site.world, "load-balancer");
        await inDroplet(site.world, id, "systemctl stop ssh; pkill sshd");
        await says("title", /^The load balancer can't be asked$/, 60);
        await says("answers", /`?make status STACK=test/);
        await picture("blind");
        await inDroplet(site.world, id, "systemctl start ssh");
        await says("title", /^The last pulumi up failed/, 90);
    });
});
