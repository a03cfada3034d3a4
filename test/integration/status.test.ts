import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keygenScript, splitKeyPair } from "../../components/deploy-key";

const root = path.resolve(__dirname, "../..");
/** Nothing listens there. */
const nowhere = "http://127.0.0.1:1";

describe("the status of a stack", () => {
    let folder: string;
    beforeAll(() => {
        folder = mkdtempSync(path.join(tmpdir(), "dropscale-status-"));
        mkdirSync(path.join(folder, "empty"));
        mkdirSync(path.join(folder, "bin"));
    });
    afterAll(() => {
        rmSync(folder, { recursive: true });
    });

    /** Runs `status`, or another command, where `pulumi` is this script. */
    function status(
        pulumi?: string,
        more: { tool?: string; url?: string } = {},
    ): Promise<{ code: number; stdout: string; stderr: string }> {
        const { tool = "status", url = nowhere } = more;
        const script = path.join(folder, "bin/pulumi");
        if (pulumi !== undefined) writeFileSync(script, `#!/bin/sh\n${pulumi}\n`, { mode: 0o755 });
        const PATH = pulumi === undefined ? path.join(folder, "empty") : `${folder}/bin:/usr/bin:/bin`;
        const env = { PATH, DIGITALOCEAN_API_URL: url, DIGITALOCEAN_TOKEN: "none" };
        const args = ["--import", "tsx", path.join(root, "tools/main.ts"), tool, "prod"];
        return new Promise((resolve) => {
            const child = execFile(process.execPath, args, { cwd: root, env }, (_, stdout, stderr) => {
                resolve({ code: child.exitCode ?? 1, stdout, stderr });
            });
        });
    }

    const { privateKey, publicKey } = splitKeyPair(
        execFileSync("sh", ["-c", keygenScript("status")], { encoding: "utf8" }),
    );
    const outputs = (servers: object[]) => ({
        url: "http://203.0.113.9",
        loadBalancerIp: "127.0.0.1", // whatever answers there has another host key
        monthlyCost: 24,
        deployKey: privateKey,
        hostKey: publicKey,
        servers,
    });
    const droplet = "digitalocean:index/droplet:Droplet";
    const urn = (type: string, name: string) => `urn:pulumi:prod::dropscale::${type}::${name}`;
    /** A state in which haproxy.cfg was applied to these. */
    const deployed = (servers: { name: string; dropletId: string; privateIp: string }[]) => {
        const command = "command:remote:Command";
        const resource = (type: string, name: string, more: object) => ({
            ...{ urn: urn(type, name), type, custom: true, id: name, inputs: {}, outputs: {} },
            ...more,
        });
        const resources = [
            ...servers.map(({ name, dropletId: id, privateIp }) =>
                resource(droplet, name, { id, outputs: { ipv4AddressPrivate: privateIp } }),
            ),
            resource(command, "haproxy-staged", { inputs: { stdin: "global" }, outputs: { stdout: "1-a" } }),
            resource(command, "haproxy", { inputs: { create: "apply 1-a 300" } }),
        ];
        return { deployment: { resources } };
    };
    const printing = (value: object, state: object = value) => `case "$*" in
"stack export"*) cat <<'EOF'
${JSON.stringify(state)}
EOF
;;
config*) echo '{"dropscale:namePrefix": {"value": "dropscale"}}' ;;
whoami*) echo '{"url": "https://app.pulumi.com/ann"}' ;;
*) cat <<'EOF'
${JSON.stringify(value)}
EOF
esac`;

    it.each([
        ["there is no pulumi", undefined, "error: there is no `pulumi` on PATH"],
        [
            "pulumi refuses",
            "echo \"error: no stack named 'prod' found\" >&2; exit 255",
            "error: no stack named",
        ],
        ["the stack is empty", printing({}), "error: stack prod has no outputs yet: `pulumi up` makes them"],
        [
            "the API does not answer",
            printing(outputs([]), deployed([{ name: "web-0", dropletId: "7", privateIp: "10.0.0.1" }])),
            `error: ${nowhere} does not answer: `,
        ],
    ])("is one line when %s", async (_what, pulumi, message) => {
        const { code, stdout, stderr } = await status(pulumi);
        expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
        expect(stderr).toContain(message);
        expect(stderr.trim().split("\n")).toHaveLength(1);
    });

    it("shows the table, and then why HAProxy could not be asked", async () => {
        const { code, stdout, stderr } = await status(printing(outputs([]), deployed([])));
        expect(code).toBe(1);
        expect(stdout).toContain("http://203.0.113.9   $24 a month");
        expect(stdout).toContain("HAProxy says");
        expect(stderr).toMatch(/^error: SSH to root@127\.0\.0\.1: /);
    });

    describe("with 1,000 servers", () => {
        const live = Array.from({ length: 1001 }, (_, i) => ({
            id: i + 1,
            name: i === 1000 ? "load-balancer-0000000" : `web-${i}-0000000`,
            status: i === 7 ? "off" : "active",
            size_slug: "s-1vcpu-1gb",
            created_at: "2026-01-02T03:04:05Z",
            tags: [i === 1000 ? "dropscale-prod-load-balancer" : "dropscale-prod-backend"],
            networks: { v4: [] },
        }));
        const servers = live.slice(0, 1000).map(({ id }, slot) => ({
            name: `web-${slot}`,
            slot,
            dropletId: String(id),
            privateIp: "10.0.0.1",
        }));

        /** DigitalOcean's lists, 200 an answer at the most, and which were asked for. */
        async function withApi<T>(work: (url: string) => Promise<T>): Promise<[T, string[]]> {
            const asked: string[] = [];
            const api = createServer((request, response) => {
                const { pathname, searchParams } = new URL(request.url ?? "", "http://api");
                asked.push(pathname);
                const size = Math.min(Number(searchParams.get("per_page") ?? 20), 200);
                const first = (Number(searchParams.get("page") ?? 1) - 1) * size;
                const last = first + size;
                const tag = searchParams.get("tag_name");
                const all = live.filter(({ tags }) => tag === null || tags.includes(tag));
                const next = last < all.length ? { next: "more" } : {};
                const droplets = pathname === "/v2/droplets" ? all.slice(first, last) : [];
                response.end(JSON.stringify({ droplets, links: { pages: next } }));
            });
            await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
            try {
                return [await work(`http://127.0.0.1:${(api.address() as AddressInfo).port}`), asked];
            } finally {
                api.close();
            }
        }
        const forDroplets = (asked: string[]) => asked.filter((url) => url.startsWith("/v2/droplets"));

        it("needs 6 requests, as 200 fit into an answer", async () => {
            const [{ stdout }, asked] = await withApi((url) =>
                status(printing(outputs(servers), deployed(servers)), { url }),
            );
            expect(stdout).toMatch(/web-999 .*1000 .*s-1vcpu-1gb .*active/);
            expect(stdout).toMatch(/web-7 .* off /);
            expect(forDroplets(asked)).toHaveLength(6);
        });

        it("shows one that somebody took the tag off, in as many requests as the account has pages", async () => {
            const [untagged] = live;
            const [{ stdout }, asked] = await withApi(async (url) => {
                const tags = untagged?.tags.splice(0) ?? [];
                const seen = await status(printing(outputs(servers), deployed(servers)), { url });
                untagged?.tags.push(...tags);
                return seen;
            });
            expect(stdout).toMatch(/web-0 .* active /);
            expect(forDroplets(asked)).toHaveLength(12);
        });

        it("needs no more for the drift check", async () => {
            const resources = live.map(({ id, name }) => ({
                urn: urn(`dropscale:index:BackendPool$${droplet}`, name.slice(0, -8)),
                ...{ type: droplet, custom: true, id: String(id), inputs: {}, outputs: {} },
            }));
            const state = { deployment: { resources }, "dropscale:namePrefix": { value: "dropscale" } };
            const [{ stdout, code }, asked] = await withApi((url) =>
                status(printing(state), { url, tool: "drift" }),
            );
            expect(stdout).toContain("Droplet web-7 (8) is switched off");
            expect(code).toBe(2);
            expect(forDroplets(asked)).toHaveLength(6);
        });
    });
});
