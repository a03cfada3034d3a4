import { describe, expect, it } from "vitest";
import { type HaproxyServer, parseStatistics, statusRows } from "../../tools/status-rows";

const server = (slot: number) => ({
    name: `web-${slot}`,
    slot,
    dropletId: `${100 + slot}`,
    privateIp: `10.0.0.${slot}`,
});
const active = { size: "s-1vcpu-1gb", status: "active" };
const seen = (name: string, status = "UP"): HaproxyServer => ({
    name,
    status,
    check: "L7OK",
    current: 1,
    total: 20,
    failed: 3,
});

describe("the status table", () => {
    it("shows what the stack, the API and HAProxy say of a server", () => {
        expect(statusRows([server(0)], [active], [seen("web-0")])).toEqual([
            {
                healthy: true,
                cells: ["web-0", "100", "10.0.0.0", "s-1vcpu-1gb", "active", "UP", "1", "20", "3"],
            },
        ]);
    });

    it.each([
        ["is down", active, [seen("web-0", "DOWN")], ["active", "DOWN"]],
        ["is powered off", { ...active, status: "off" }, [seen("web-0")], ["off", "UP"]],
        ["is gone", undefined, [seen("web-0", "DOWN 1/2")], ["gone", "DOWN 1/2"]],
        ["is not in haproxy.cfg", active, [], ["active", "not in service"]],
    ])("marks a server that %s", (_what, droplet, haproxy, shown) => {
        const [row] = statusRows([server(0)], [droplet], haproxy);
        expect(row?.healthy).toBe(false);
        expect(row?.cells.slice(4, 6)).toEqual(shown);
    });

    it("marks every server where HAProxy could not be asked, and still shows its droplet", () => {
        const [row] = statusRows([server(0)], [active], undefined);
        expect(row?.healthy).toBe(false);
        expect(row?.cells.slice(3)).toEqual(["s-1vcpu-1gb", "active", "?", "?", "?", "?"]);
    });

    it("shows a server that only HAProxy knows", () => {
        const rows = statusRows([server(0)], [active], [seen("web-0"), seen("web-7")]);
        expect(rows[1]).toMatchObject({ healthy: false });
        expect(rows[1]?.cells.slice(0, 5)).toEqual(["web-7", "?", "?", "?", "not in the stack"]);
    });

    it("is made of the servers in HAProxy's statistics, not of its frontends and totals", () => {
        const object = (objType: string, fields: Record<string, string | number>) =>
            Object.entries(fields).map(([name, value]) => ({ objType, field: { name }, value: { value } }));
        const json = JSON.stringify([
            object("Frontend", { svname: "FRONTEND", status: "OPEN", stot: 9 }),
            object("Server", {
                svname: "web-0",
                status: "UP",
                check_status: "L7OK",
                scur: 2,
                stot: 9,
                econ: 1,
                eresp: 2,
            }),
            object("Backend", { svname: "BACKEND", status: "UP", stot: 9 }),
            object("Server", { svname: "web-0", status: "no check", scur: 1, stot: 1, econ: 0, eresp: 1 }),
        ]);
        expect(parseStatistics(json)).toEqual([
            { name: "web-0", status: "UP", check: "L7OK", current: 3, total: 10, failed: 4 },
        ]);
    });
});
