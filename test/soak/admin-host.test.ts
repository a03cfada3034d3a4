import { execFile, execFileSync } from "node:child_process";
import { cpSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { stateBackend } from "../../sandbox/stack";
import { Crowd } from "../autoscalers.mts";
import { serversAnswering } from "../e2e/client";
import { servedSite, visitedThroughout } from "../e2e/served-site";
import { Repository } from "../pipeline-run.mts";
import { start } from "../world.mts";

const root = path.resolve(__dirname, "../..");
const unit = "dropscale-autoscale@test.service";
const poll = { timeout: 180_000, interval: 1000 };

/** As docs/autoscaling.md says: on a droplet of its own, by systemd, without a token; this machine is the pipeline. */
describe("the autoscaler on an admin host", () => {
    const site = servedSite({
        ...{ replicas: 2, autoscale: { min: 2, max: 4, slots: 8 } },
        ...{ adminHost: true, adminHostImage: "debian-12-x64" },
    });
    visitedThroughout(site);
    let ssh: string[] = [];
    let address = "";

    const shell = async (script: string) =>
        (await promisify(execFile)("bash", ["-o", "pipefail", "-c", script])).stdout;
    /** Runs a command on the admin host, as a person who logged in. */
    const onHost = async (command: string): Promise<string> => {
        const [program = "", ...options] = ssh;
        return (await promisify(execFile)(program, [...options, `root@${address}`, command])).stdout.trim();
    };
    const send = (folder: string, what: string, to: string) =>
        shell(
            `tar -C '${folder}' -c '${what}' | ${ssh.join(" ")} root@${address} 'mkdir -p ${to} && tar -C ${to} -x'`,
        );
    const sendState = () => {
        const state = stateBackend(site.world.instance);
        return send(path.dirname(state), path.basename(state), "/srv");
    };
    const whereIs = (program: string) =>
        execFileSync("which", [program], { env: site.world.env, encoding: "utf8" }).trim();
    const journal = () => onHost(`journalctl --output cat --unit '${unit}'`);
    const git = (...args: string[]) => onHost(`git -C /srv/site.git ${args.join(" ")}`);
    const beside = (name: string) => path.join(path.dirname(site.world.folder), name);

    beforeAll(async () => {
        const { world } = site;
        const outputs = (await world.outputs()) as Awaited<ReturnType<typeof world.outputs>> & {
            adminHostIp: string;
        };
        address = outputs.adminHostIp;
        writeFileSync(beside("key"), outputs.deployKey, { mode: 0o600 });
        const options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=accept-new",
            `UserKnownHostsFile=${beside("hosts")}`,
        ];
        ssh = ["ssh", "-i", beside("key"), ...options.flatMap((option) => ["-o", option])];
        await onHost("cloud-init status --wait >/dev/null; git --version");

        for (const name of ["tools", "policy"])
            cpSync(path.join(root, name), path.join(world.folder, name), { recursive: true });
        await new Repository(beside("site.git"), world.folder).init();
        await send(beside(""), "site.git", "/srv");
        await onHost("git clone --quiet /srv/site.git /srv/dropscale");
        await onHost("git -C /srv/dropscale config user.name autoscaler");
        await onHost("git -C /srv/dropscale config user.email autoscaler@example.com");
        await send(root, "node_modules", "/srv/dropscale");
        // What `nodejs.org` and Pulumi's installer would bring.
        await send(path.dirname(process.execPath), "node", "/opt/node/bin");
        const npm = realpathSync(whereIs("npm"));
        await send(path.resolve(npm, "../../.."), "npm", "/opt/node/lib/node_modules");
        await onHost("ln -s ../lib/node_modules/npm/bin/npm-cli.js /opt/node/bin/npm");
        const pulumi = realpathSync(whereIs("pulumi"));
        await send(path.dirname(pulumi), path.basename(pulumi), "/usr/local/bin");
        await sendState();
    }, 900_000);

    const install = (...options: string[]) =>
        onHost(
            `cd /srv/dropscale && export PATH=/opt/node/bin:$PATH && npm run dropscale -- install-autoscaler --stack test ${options.join(" ")}`,
        );

    it("is installed by one command, which says what is left to do", async () => {
        const said = await install("--apply", "commit");
        expect(said).toContain("wrote /etc/systemd/system/dropscale-autoscale@.service");
        expect(said).toContain("fill in /etc/dropscale/test.env");
        expect(said).toContain(`systemctl enable --now ${unit}`);
        await onHost(
            "printf 'PULUMI_BACKEND_URL=file:///srv/pulumi-state\\nPULUMI_CONFIG_PASSPHRASE=dropscale\\n' >>/etc/dropscale/test.env",
        );
        expect(await onHost("stat --format %a /etc/dropscale/test.env")).toBe("600");
    });

    it("looks by a timer, once a minute, which others see", async () => {
        await install("--timer", "--apply", "commit");
        await onHost("systemctl enable --now dropscale-autoscale-once@test.timer");
        const ran = () => onHost("journalctl --output cat --unit 'dropscale-autoscale-once@test.service'");
        await expect.poll(ran, poll).toMatch(/busy 0\.\d\d/);
        await expect.poll(ran, poll).toMatch(/Finished .*One look of the autoscaler/);
        const { text } = await site.world.tool("status", ["test"]);
        expect(text).toMatch(/autoscaler \(admin-host-\w+, --apply commit\): busy/);
        await onHost("systemctl disable --now dropscale-autoscale-once@test.timer");
        // A look that was under way.
        await onHost("systemctl stop dropscale-autoscale-once@test.service");
    });

    it("pushes the servers that a crowd needs, for a pipeline to apply", async () => {
        await onHost(`systemctl enable --now '${unit}'`);
        await expect.poll(journal, poll).toMatch(/busy 0\.\d\d/);
        const crowd = new Crowd(site.url, 24);
        try {
            await expect.poll(journal, poll).toMatch(/pushed in/);
            expect(await git("log", "-1", "--format=%an:%s", "main")).toMatch(
                /^autoscaler:autoscale: replicas 2 → 4: busy/,
            );
            const remote = `ssh://root@${address}/srv/site.git`;
            const env = { ...site.world.env, GIT_SSH_COMMAND: ssh.join(" "), CI: "true" };
            execFileSync("git", ["clone", "--quiet", remote, beside("pipeline")], { env });
            symlinkSync(path.join(root, "node_modules"), path.join(beside("pipeline"), "node_modules"));
            const command = [path.join(beside("pipeline"), "tools/main.ts"), "deploy", "test"];
            const { code, text } = await start("tsx", command, { cwd: beside("pipeline"), env }).ended;
            expect(code, text).toBe(0);
            await sendState();
        } finally {
            await crowd.stop();
        }
        const servers = ["web-0", "web-1", "web-2", "web-3"];
        expect(await serversAnswering(site.url, 4)).toEqual(servers);
    });

    it("is started again when it was killed, and ends in order when it is stopped", async () => {
        const restarts = () => onHost(`systemctl show --property NRestarts --value '${unit}'`);
        expect(await restarts()).toBe("0");
        await onHost(`systemctl kill --signal SIGKILL '${unit}'`);
        await expect.poll(restarts, poll).toBe("1");
        const since = async () => (await journal()).split("Scheduled restart job").at(-1);
        await expect.poll(since, poll).toMatch(/busy 0\.\d\d|waits/);
        await onHost(`systemctl stop '${unit}'`);
        expect(await onHost(`systemctl show --property Result,ExecMainStatus '${unit}'`)).toBe(
            "Result=success\nExecMainStatus=0",
        );
        expect(await onHost("git -C /srv/dropscale status --porcelain --branch")).toBe(
            "## main...origin/main",
        );
    });
});
