import { describe, expect, it } from "vitest";
import { type Live, pair } from "../../tools/live/pool";
import type { ServerReading } from "../../tools/live/reading";
import { statusRows } from "../../tools/status/status";
import { emptyState, haproxyOf, listed, serverAt, stateDroplet } from "../live-fixtures";

const server = (slot: number) => stateDroplet(`web-${slot}`, `${100 + slot}`, `10.0.0.${slot}`);
const seen = (address: string, status = "UP"): ServerReading =>
    serverAt(address, { name: "some-name", status, running: 1, requests: 20, failures: 3 });
const active = listed(100, "10.0.0.0");

/** Of one server of the state. */
function live(droplets: (typeof active)[], servers: ServerReading[] | Error): Live {
    const haproxy = servers instanceof Error ? servers : haproxyOf(servers);
    const serving = servers instanceof Error ? servers : new Set(servers.map(({ address }) => address));
    const state = { ...emptyState, resources: [server(0)] };
    return { haproxy, droplets: pair(state, droplets, serving, servers instanceof Error ? [] : servers) };
}

describe("the status table", () => {
    it("shows what the stack, the API and HAProxy say of a server, paired by its address", () => {
        const cells = ["web-0", "100", "10.0.0.0", "s-1vcpu-1gb", "active", "serves", "UP", "1", "20", "3"];
        expect(statusRows(live([active], [seen("10.0.0.0")]))).toEqual([{ healthy: true, cells }]);
    });

    it.each([
        ["is down", [active], [seen("10.0.0.0", "DOWN")], ["active", "serves", "DOWN"]],
        ["is powered off", [{ ...active, status: "off" }], [seen("10.0.0.0")], ["off", "serves", "UP"]],
        ["is gone", [], [seen("10.0.0.0", "DOWN 1/2")], ["gone", "gone", "DOWN 1/2"]],
        ["is not in haproxy.cfg", [active], [], ["active", "waits: gets no request", "not in service"]],
        [
            "has its name in haproxy.cfg with the address of another one",
            [active],
            [{ ...seen("10.0.0.9"), name: "web-0" }],
            ["active", "waits: gets no request", "not in service"],
        ],
    ])("marks a server that %s", (_what, droplets, haproxy, shown) => {
        const [row] = statusRows(live(droplets, haproxy));
        expect(row?.healthy).toBe(false);
        expect(row?.cells.slice(4, 7)).toEqual(shown);
    });

    it("marks every server where HAProxy could not be asked, and still shows its droplet", () => {
        const [row] = statusRows(live([active], new Error("no answer")));
        expect(row?.healthy).toBe(false);
        expect(row?.cells.slice(3)).toEqual(["s-1vcpu-1gb", "active", "may serve", "?", "?", "?", "?"]);
    });

    it("shows a server that only HAProxy knows", () => {
        const rows = statusRows(live([active], [seen("10.0.0.0"), { ...seen("10.0.0.7"), name: "web-7" }]));
        expect(rows[1]).toMatchObject({ healthy: false });
        expect(rows[1]?.cells.slice(0, 6)).toEqual([
            "web-7",
            "?",
            "10.0.0.7",
            "?",
            "gone",
            "not in the stack",
        ]);
    });
});
