import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { secretsTemplate, type UnitFile, unitFiles, unitOf } from "../../tools/autoscale/systemd/install";

const root = path.resolve(__dirname, "../..");
const hasSystemd = existsSync("/usr/bin/systemd-analyze");
const place = { folder: root, user: "root", node: process.execPath, path: "/usr/bin:/bin" };

describe("the autoscaler's units", () => {
    let folder: string;
    beforeAll(() => {
        folder = mkdtempSync(path.join(tmpdir(), "dropscale-units-"));
    });
    afterAll(() => {
        rmSync(folder, { recursive: true });
    });

    /** What `systemd-analyze verify` says of a unit; the files as on a machine of their own. */
    function verify(files: UnitFile[], unit: string): string {
        const units = path.join(folder, "units");
        for (const { file, text } of files) {
            const copy = path.join(units, path.relative("/etc/systemd/system", file));
            mkdirSync(path.dirname(copy), { recursive: true });
            writeFileSync(copy, text);
        }
        const env = { ...process.env, SYSTEMD_UNIT_PATH: `${units}:` };
        const options = ["verify", "--man=no", path.join(units, unit)];
        const { stdout, stderr } = spawnSync("systemd-analyze", options, { env, encoding: "utf8" });
        rmSync(units, { recursive: true });
        return `${stdout}${stderr}`;
    }

    it.skipIf(!hasSystemd).each([
        ["a service", false],
        ["a timer", true],
    ])("are right to systemd as %s", (_what, timer) => {
        const files = unitFiles({ stack: "my-prod", apply: "up", timer }, place);
        const ours = (said: string) => said.split("\n").filter((line) => line.includes("dropscale"));
        const service = unitOf("my-prod", timer).replace(".timer", ".service");
        for (const unit of [service, unitOf("my-prod", timer)]) {
            const said = verify(files, unit);
            expect(ours(said), said).toEqual([]);
        }
        // It would tell.
        const wrong = files.map(({ file, text }) => ({ file, text: text.replace("KillMode=", "KilMode=") }));
        expect(ours(verify(wrong, service)).join()).toContain("KilMode");
        const gone = unitFiles({ stack: "my-prod", timer }, { ...place, node: "/usr/bin/no-such-node" });
        expect(ours(verify(gone, service)).join()).toContain("no-such-node");
    });

    it("run this checkout's program for the instance, with the options of its stack alone", () => {
        const [service, options] = unitFiles({ stack: "prod", apply: "commit" }, place);
        expect(service?.file).toBe("/etc/systemd/system/dropscale-autoscale@.service");
        expect(service?.text).toContain(
            `ExecStart="${process.execPath}" --import tsx tools/main.ts autoscale --stack %i $DROPSCALE_OPTIONS\n`,
        );
        expect(service?.text).toContain(`\nWorkingDirectory=${root}\n`);
        expect(service?.text).toContain("\nEnvironmentFile=/etc/dropscale/%i.env\n");
        expect(service?.text).not.toMatch(/@[A-Z]+@/);
        expect(options).toEqual({
            file: "/etc/systemd/system/dropscale-autoscale@prod.service.d/options.conf",
            text: '[Service]\nEnvironment="DROPSCALE_OPTIONS=--apply commit"\n',
        });
        const withMetrics = unitFiles({ stack: "prod", apply: "up", metricsPort: 9405 }, place)[1];
        expect(withMetrics?.text).toContain('"DROPSCALE_OPTIONS=--apply up --metrics-port 9405"');
        const [once, timer] = unitFiles({ stack: "prod", timer: true }, place);
        expect(once?.text).toContain("autoscale --stack %i --once $DROPSCALE_OPTIONS\n");
        expect(timer?.file).toBe("/etc/systemd/system/dropscale-autoscale-once@.timer");
    });

    it("hold a path with a per cent sign, and refuse one that they can't", () => {
        const at = (of: string) => unitFiles({ stack: "prod" }, { ...place, folder: of })[0]?.text;
        expect(at("/srv/100% ours")).toContain("\nWorkingDirectory=/srv/100%% ours\n");
        expect(() => at('/srv/"x"')).toThrow("a unit can't hold the path");
    });

    it("take the cloud's token only where they apply changes by themselves", () => {
        expect(secretsTemplate("up")).toContain("DIGITALOCEAN_TOKEN=");
        expect(secretsTemplate("commit")).not.toContain("DIGITALOCEAN_TOKEN=");
    });

    const command = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
        new Promise((resolve) => {
            const all = ["--import", "tsx", "tools/main.ts", "install-autoscaler", ...args];
            const child = execFile(process.execPath, all, { cwd: root }, (_, stdout, stderr) => {
                resolve({ code: child.exitCode ?? 1, stdout, stderr });
            });
        });

    it("are printed, and nothing is written", async () => {
        const { code, stdout } = await command("--stack", "prod", "--apply", "up", "--print");
        expect(code).toBe(0);
        const [service, options] = unitFiles({ stack: "prod", apply: "up" }, place);
        expect(stdout).toContain(`# ${service?.file}\n`);
        expect(stdout).toContain(options?.text);
        expect(stdout).toContain("# /etc/dropscale/prod.env (mode 0600)\n");
        expect(existsSync("/etc/dropscale/prod.env")).toBe(false);
    });

    it.skipIf(existsSync("/run/systemd/system"))("are refused where systemd does not run", async () => {
        const { code, stderr } = await command("--stack", "prod", "--timer");
        expect(code).toBe(1);
        expect(stderr).toMatch(
            /^error: systemd does not run this machine.*npm run autoscale -- --stack prod.*cron/,
        );
    });

    it("are refused for a stack that has no place in a unit's name", async () => {
        const { code, stderr } = await command("--stack", "acme/shop/prod", "--print");
        expect(code).toBe(1);
        expect(stderr).toContain("--stack should be the stack's name alone");
    });

    it("have every template filled in that lies there", () => {
        const text = readFileSync(path.join(root, "tools/autoscale/systemd/common.conf"), "utf8");
        expect(new Set(text.match(/@[A-Z]+@/g))).toEqual(new Set(["@USER@", "@FOLDER@", "@PATH@"]));
    });
});
