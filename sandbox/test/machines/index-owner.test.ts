import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { claimIndex } from "../../claim-index.ts";
import { instance } from "../../instance.ts";
import { purgeSandbox, startSandbox } from "../../process.ts";

it("an index whose sandbox was left behind is passed over by tests", async () => {
    const first = await claimIndex();
    const folder = await mkdtemp(path.join(os.tmpdir(), "owner-"));
    const ownerFile = `/run/dropscale/ds${first.index}.owner`;
    try {
        await writeFile(path.join(folder, "cloud.json"), "{}");
        await writeFile(ownerFile, folder);
        await first.release();
        const second = await claimIndex();
        await second.release();
        expect(second.index).toBeGreaterThan(first.index);
    } finally {
        await rm(ownerFile, { force: true });
        await rm(folder, { recursive: true, force: true });
    }
});

it("an index whose droplets may still run is not taken by another checkout", async () => {
    const { index, release } = await claimIndex();
    const folder = await mkdtemp(path.join(os.tmpdir(), "owner-"));
    const sandbox = (name: string) =>
        instance({ name, index, stateDir: path.join(folder, name), kind: "nspawn" });
    const ownerFile = `/run/dropscale/ds${index}.owner`;
    try {
        await mkdir(path.join(folder, "one"));
        await writeFile(path.join(folder, "one/cloud.json"), "{}");
        await writeFile(ownerFile, path.join(folder, "one"));
        await expect(startSandbox(sandbox("two"), { port: 0 })).rejects.toThrow(
            `index ${index} belongs to the sandbox in ${path.join(folder, "one")}`,
        );
        await rm(path.join(folder, "one/cloud.json"));
        await startSandbox(sandbox("two"), { port: 0 });
    } finally {
        await purgeSandbox(sandbox("two"));
        await rm(ownerFile, { force: true });
        await rm(folder, { recursive: true, force: true });
        await release();
    }
});
