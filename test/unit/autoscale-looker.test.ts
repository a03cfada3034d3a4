import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname, tmpdir } from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Looker } from "../../tools/autoscale/looker";
import { Connection } from "../../tools/live/connection";
import { AlreadyWatched } from "../../tools/live/watch";

/** A stack whose load balancer nobody can log in to. */
describe("a look in vain", () => {
    const { PATH } = process.env;
    let folder: string;
    const site = createServer((_request, response) => response.end());
    const setOutputs = (outputs: object) => {
        writeFileSync(path.join(folder, "outputs.json"), JSON.stringify(outputs));
    };

    beforeEach(async () => {
        folder = mkdtempSync(path.join(tmpdir(), "dropscale-looker-"));
        mkdirSync(path.join(folder, "bin"));
        const pulumi = path.join(folder, "bin/pulumi");
        writeFileSync(pulumi, `#!/bin/sh\ncat ${folder}/outputs.json\n`);
        chmodSync(pulumi, 0o755);
        process.env.PATH = `${folder}/bin:${PATH ?? ""}`;
        await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
        const loadBalancerIp = `127.0.0.1:${(site.address() as AddressInfo).port}`;
        setOutputs({ loadBalancerIp, deployKey: "no key", hostKey: "ssh-ed25519 AAAA" });
    });
    afterEach(() => {
        Object.assign(process.env, { PATH });
        vi.restoreAllMocks();
        site.close();
        rmSync(folder, { recursive: true });
    });

    it("asks whether the site answers all the same", async () => {
        const looker = new Looker("prod", { alone: true });
        expect(await looker.begin()).toMatchObject({ siteAnswers: true });
        await new Promise((resolve) => site.close(resolve));
        expect(await looker.look()).toMatchObject({ siteAnswers: false });
    });

    it("calls no load balancer dead that was destroyed with its stack", async () => {
        const looker = new Looker("prod", { alone: true });
        await looker.begin();
        await new Promise((resolve) => site.close(resolve));
        setOutputs({});
        const look = await looker.look();
        expect("problem" in look && look.siteAnswers).toBeUndefined();
    });

    it("does not send people after itself, where its own last connection still has the lock", async () => {
        const looker = new Looker("prod", { alone: true });
        await looker.begin();
        const holdBy = (host: string) =>
            vi
                .spyOn(Connection.prototype, "look")
                .mockRejectedValueOnce(new AlreadyWatched(JSON.stringify({ host, pid: 7 })));
        holdBy(hostname());
        expect(await looker.look()).toMatchObject({
            problem: expect.stringMatching(/^this host has the/) as string,
        });
        holdBy("laptop");
        expect(await looker.look()).toMatchObject({
            problem: expect.stringMatching(/already, on laptop/) as string,
        });
    });
});
