import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { markGeneration } from "../../components/haproxy/render";
import { findHaproxy } from "../../tools/live/haproxy-check";
import { clearable } from "../../tools/doctor/leftovers";
import { type Live, pair, servingByState } from "../../tools/live/pool";
import { parseHaproxy } from "../../tools/live/haproxy";
import { leftOf, partOf, sayLeft } from "../../tools/live/left";
import { deployed, haproxy, resource } from "../plan-fixtures";
import { emptyState, haproxyOf, haproxyText, leftover, listed, stateDroplet } from "../live-fixtures";

/** After two tries that failed: web-0 serves at .2; the first try made .3, the second one .4. */
const state = {
    ...emptyState,
    resources: [stateDroplet("load-balancer", "1", "10.0.0.1"), stateDroplet("web-0", "4", "10.0.0.4")],
    leftovers: [leftover("web-0", "3", "10.0.0.3"), leftover("web-0", "2", "10.0.0.2")],
};
const account = [1, 2, 3, 4].map((id) => listed(id, `10.0.0.${id}`));

function liveOf(haproxy: Live["haproxy"], droplets = account): Live {
    const answers = haproxy !== undefined && !(haproxy instanceof Error);
    const serving = answers
        ? new Set([
              ...haproxy.host,
              ...haproxy.draining,
              ...(haproxy.servers ?? []).map(({ address }) => address),
          ])
        : (haproxy ?? new Set<string>());
    return { haproxy, droplets: pair(state, droplets, serving, answers ? haproxy.servers : []) };
}
const parts = ({ droplets }: Live) => droplets.map((droplet) => `${droplet.id} ${partOf(droplet)}`);
const ids = (droplets: readonly { id: string }[]) => droplets.map(({ id }) => id);
const running = haproxyOf(["10.0.0.2"]);

describe("what a droplet does", () => {
    it("is known by its address, not by its name", () => {
        expect(parts(liveOf(running))).toEqual([
            "2 serves until its successor does",
            "3 serves nobody, pending delete",
            "4 waits: gets no request",
            "1 serves",
        ]);
    });

    it("is serving while a worker ends its last requests", () => {
        const live = liveOf(haproxyOf(["10.0.0.4"], { draining: ["10.0.0.2"] }));
        expect(parts(live)).toEqual([
            "2 serves until its successor does",
            "4 serves",
            "3 serves nobody, pending delete",
            "1 serves",
        ]);
    });

    it("is not known where HAProxy can't be asked, and of load balancers where none is the one that answered", () => {
        expect(parts(liveOf(new Error("no")))).toEqual([
            "2 may serve until its successor does",
            "3 may serve until its successor does",
            "4 may serve",
            "1 may serve",
        ]);
        expect(parts(liveOf({ ...running, host: ["198.0.0.99"] })).at(-1)).toBe("1 may serve");
    });

    it("is said of what is gone, and of what the state does not know", () => {
        const live = liveOf(running, [listed(2, "10.0.0.2"), listed(9, "10.0.0.9", "web-7-0123abc")]);
        expect(parts(live)).toEqual([
            "2 serves until its successor does",
            "3 gone",
            "4 gone",
            "9 not in the state, serves nobody",
            "1 gone",
        ]);
    });

    it("is known from the state alone, where its haproxy.cfg was applied to the end", () => {
        const address = resource("digitalocean:index/reservedIpAssignment:ReservedIpAssignment", "address", {
            dropletId: 1,
        });
        const [balancer] = state.resources;
        const resources = [...deployed.resources, ...(balancer ? [balancer] : []), address];
        expect(servingByState({ ...deployed, resources })).toEqual(
            new Set(["10.0.0.10", "10.0.0.11", "10.0.0.12", "198.0.0.1"]),
        );
        const cut = [...deployed.resources.slice(0, -2), ...haproxy([], { word: "2-0123abcd" })];
        expect(servingByState({ ...deployed, resources: cut })).toBeInstanceOf(Error);
        expect(servingByState(emptyState)).toEqual(new Set());
    });
});

describe("what a run left", () => {
    it("is told in one sentence, with what it costs", () => {
        expect(sayLeft(leftOf(liveOf(running)))).toBe(
            "a run did not end well: web-0 (2) serves until its successor does; web-0 (4) waits: it gets no request, $6 a month; " +
                "web-0 (3) serves nobody, pending delete, $6 a month",
        );
        expect(sayLeft(leftOf(liveOf(new Error("no"))))).toBe(
            "a run did not end well: web-0 (2), web-0 (3) may serve until their successors do".replace(
                ", ",
                " ",
            ),
        );
        expect(sayLeft(leftOf({ haproxy: running, droplets: [] }))).toBeUndefined();
    });

    it("goes where it serves nobody; what waits only where it is asked for", () => {
        expect(ids(clearable(liveOf(running), "all"))).toEqual(["3", "4"]);
        expect(ids(clearable(liveOf(running), "marked"))).toEqual(["3"]);
    });

    it.each<[string, Live["haproxy"]]>([
        ["the load balancer can't be asked", new Error("no")],
        ["HAProxy does not answer there", { ...running, servers: undefined, generation: undefined }],
        ["another text is just applied", { ...running, isApplying: true }],
    ])("stays, all of it, while %s", (_why, haproxy) => {
        expect(clearable(liveOf(haproxy), "all")).toEqual([]);
    });

    it("stays where the file names it, which HAProxy would read at its next start", () => {
        const text = haproxyText(["10.0.0.3", "10.0.0.4"]);
        expect(clearable(liveOf({ ...running, text }), "all")).toEqual([]);
    });

    it("is no server that somebody took out of haproxy.cfg by hand", () => {
        const live = liveOf({ ...running, text: running.text.replace("maxconn 6000", "maxconn 10") });
        expect(ids(clearable(live, "all"))).toEqual(["3"]);
        expect(ids(clearable(liveOf({ ...running, generation: undefined }), "all"))).toEqual(["3"]);
    });

    it("is not what a first deployment has made so far: the next `up` goes on with it", () => {
        expect(ids(clearable(liveOf(undefined), "all"))).toEqual(["2", "3"]);
    });

    it("never holds a droplet to which requests come, whatever is known", () => {
        const address = fc.constantFrom(...account.map(({ networks }) => networks.v4[0]?.ip_address ?? ""));
        const some = fc.uniqueArray(address);
        fc.assert(
            fc.property(some, some, some, fc.boolean(), (servers, draining, written, isApplying) => {
                const live = liveOf({
                    ...haproxyOf(servers, { draining, isApplying }),
                    text: haproxyText(written),
                });
                const gone = clearable(live, "all").map(({ address }) => address);
                for (const used of [...servers, ...draining, ...written]) expect(gone).not.toContain(used);
                expect(ids(clearable(live, "all"))).not.toContain("1");
            }),
        );
    });
});

describe("what HAProxy runs, held against the state", () => {
    const [old, next] = [haproxyText(["10.0.0.2"]), haproxyText(["10.0.0.4"])];
    const runs = (text: string) => /gen=(\w+)/.exec(text)?.[1];
    const edited = old.replace("maxconn 6000", "maxconn 10");

    it.each([
        ["the text of the state", next, true, next, next, undefined],
        ["the text that was to be replaced: the run ended before", next, false, old, old, "unfinished"],
        ["it not yet, though the file has it", next, false, next, old, "unfinished"],
        ["what is staged: the run ended in the drain", next, false, next, next, "unfinished"],
        ["Debian's own file so far", next, false, "global\n", "", "unfinished"],
        ["a text of ours that the state does not know", next, true, old, old, "other"],
        ["another text than the file", next, true, next, old, "not run"],
        ["nothing", next, true, next, "", "not run"],
        ["what somebody edited", old, true, edited, edited, "edited"],
        ["what somebody edited after a run that ended", next, false, edited, old, "edited"],
    ])("is %s", (_what, text, applied, file, running, verdict) => {
        const live = { text: file, generation: runs(running) };
        expect(findHaproxy({ text, applied }, live, "prod")?.verdict).toBe(verdict);
    });

    it("is a risk where a plain `up` would delete servers without another text", () => {
        const risky = (applied: boolean, file: string, running: string) =>
            findHaproxy({ text: next, applied }, { text: file, generation: runs(running) }, "prod")?.isRisky;
        expect([risky(true, old, old), risky(true, next, old)]).toEqual([true, true]);
        expect([risky(false, old, old), risky(true, next, ""), risky(true, edited, old)]).toEqual([
            false,
            false,
            false,
        ]);
    });

    it("is ours whatever the text is", () => {
        const text = markGeneration("global\n    maxconn 1\n");
        const live = { text, generation: runs(text) };
        expect(findHaproxy({ text, applied: true }, live, "prod")).toBeUndefined();
    });
});

describe("the answer of a load balancer", () => {
    const part = (name: string, text: string) => `\n-- dropscale: ${name}\n${text}`;
    const stat =
        "# pxname,svname,scur,status,addr,\npool,web-0,1,UP,10.0.0.2:80,\nuploads,web-0,2,UP,10.0.0.2:80,\n\n";

    it("is taken apart: the file to its last byte, and the servers of each worker", () => {
        const old = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state\n3 pool 1 web-0 10.0.0.9 2\n\n";
        const printed = [
            part("host", "198.51.100.7 10.0.0.1 \n"),
            part("text", "global\n    no end of line"),
            part("info", "Pid: 7\nDescription: gen=0123456789abcdef\n"),
            ...[part("servers", stat), part("draining", old), part("applying", "yes\n"), part("end", "")],
        ];
        expect(parseHaproxy(printed.join(""))).toMatchObject({
            host: ["198.51.100.7", "10.0.0.1"],
            text: "global\n    no end of line",
            generation: "0123456789abcdef",
            servers: [{ name: "web-0", address: "10.0.0.2", isUp: true, running: 3 }],
            draining: ["10.0.0.9"],
            isApplying: true,
        });
    });

    it("is none where the servers were cut off: some would be missing", () => {
        expect(() => parseHaproxy(part("servers", stat.slice(0, -1)) + part("draining", ""))).toThrow(
            "cut off",
        );
    });

    it("has no servers, not none of them, where no HAProxy answers", () => {
        const names = ["host", "text", "info", "servers", "draining", "applying", "end"];
        const { servers, generation } = parseHaproxy(names.map((name) => part(name, "")).join(""));
        expect({ servers, generation }).toEqual({ servers: undefined, generation: undefined });
    });
});
