import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { floorAt } from "../../tools/autoscale/schedule";

const berlin = "Europe/Berlin";
const office = { start: "30 7 * * Mon-Fri", end: "0 19 * * Mon-Fri", timezone: berlin, min: 6 };
const at = (time: string, window: Partial<typeof office> = {}, aheadSeconds = 0) =>
    floorAt({ min: 2, schedule: [{ ...office, ...window }] }, Date.parse(time), aheadSeconds);

describe("a window of the schedule", () => {
    it.each([
        ["a second before it starts", "2026-11-30T07:29:59+01:00", 2],
        ["when it starts", "2026-11-30T07:30:00+01:00", 6],
        ["within", "2026-11-30T12:00:00+01:00", 6],
        ["a second before it ends", "2026-11-30T18:59:59+01:00", 6],
        ["when it ends", "2026-11-30T19:00:00+01:00", 2],
        ["at night", "2026-12-01T03:00:00+01:00", 2],
        ["on Saturday", "2026-12-05T12:00:00+01:00", 2],
        ["on Monday in summer", "2026-07-06T07:30:00+02:00", 6],
    ])("is open between start and end: %s", (_, time, floor) => {
        expect(at(time)).toBe(floor);
    });

    it("opens ahead, and does not close ahead", () => {
        expect(at("2026-11-30T07:24:59+01:00", {}, 300)).toBe(2);
        expect(at("2026-11-30T07:25:00+01:00", {}, 300)).toBe(6);
        expect(at("2026-11-30T18:59:59+01:00", {}, 300)).toBe(6);
        expect(at("2026-11-30T19:00:00+01:00", {}, 300)).toBe(2);
    });

    it("may be shorter than what it opens ahead", () => {
        const short = { start: "0 12 * * *", end: "2 12 * * *" };
        const open = ["11:54:59", "11:55:00", "12:01:59", "12:02:00"].map((time) =>
            at(`2026-11-30T${time}+01:00`, short, 300),
        );
        expect(open).toEqual([2, 6, 6, 2]);
    });

    it("may go over midnight, and over the turn of the year", () => {
        const night = { start: "0 22 * * *", end: "0 6 * * *" };
        expect(at("2026-12-31T23:59:59+01:00", night)).toBe(6);
        expect(at("2027-01-01T05:59:59+01:00", night)).toBe(6);
        expect(at("2027-01-01T06:00:00+01:00", night)).toBe(2);
    });

    it("may last a season", () => {
        const season = { start: "0 0 20 11 *", end: "0 0 27 12 *" };
        expect(at("2026-12-24T18:00:00+01:00", season)).toBe(6);
        expect(at("2027-06-24T18:00:00+02:00", season)).toBe(2);
    });
});

describe("when summer begins, a window", () => {
    // At 02:00 the clock is put forward to 03:00: there is no 02:30.
    const missing = { start: "30 2 * * *", end: "0 5 * * *" };

    it("that starts in the missing hour opens at its end", () => {
        expect(at("2026-03-29T01:59:59+01:00", missing)).toBe(2);
        expect(at("2026-03-29T03:00:00+02:00", missing)).toBe(6);
        expect(at("2026-03-29T05:00:00+02:00", missing)).toBe(2);
        expect(at("2026-03-30T02:29:59+02:00", missing)).toBe(2);
        expect(at("2026-03-30T02:30:00+02:00", missing)).toBe(6);
    });

    it("that ends in it closes at its end", () => {
        const ends = { start: "0 22 * * *", end: "30 2 * * *" };
        expect(at("2026-03-29T01:59:59+01:00", ends)).toBe(6);
        expect(at("2026-03-29T03:00:00+02:00", ends)).toBe(2);
    });

    it("opens ahead by the time that passes, not by the clock", () => {
        const later = { start: "10 3 * * *", end: "0 5 * * *" };
        expect(at("2026-03-29T01:49:59+01:00", later, 1200)).toBe(2);
        expect(at("2026-03-29T01:50:00+01:00", later, 1200)).toBe(6);
    });
});

describe("when summer ends, a window", () => {
    // At 03:00 the clock is put back to 02:00: 02:30 comes twice.
    it("opens the first time, and is not opened again by the second", () => {
        const twice = { start: "30 2 * * *", end: "45 2 * * *" };
        const open = [
            "02:29:59+02:00",
            "02:30:00+02:00",
            "02:45:00+02:00",
            "02:30:00+01:00",
            "02:50:00+01:00",
        ].map((time) => at(`2026-10-25T${time}`, twice));
        expect(open).toEqual([2, 6, 2, 2, 2]);
    });

    it("that goes over it is an hour longer", () => {
        const night = { start: "0 22 * * *", end: "0 6 * * *" };
        const hours = Array.from(
            { length: 24 },
            (_, hour) => Date.parse("2026-10-24T12:00:00Z") + hour * 3_600_000,
        );
        const open = hours.filter((time) => at(new Date(time).toISOString(), night) === 6);
        expect(open).toHaveLength(9);
    });
});

describe("the floor", () => {
    const other = { start: "0 12 * * *", end: "0 13 * * *", timezone: "America/New_York", min: 9 };

    it("is the most of the windows that are open, each by its own zone, and at least min", () => {
        const floor = (time: string, min = 2) =>
            floorAt({ min, schedule: [office, other] }, Date.parse(time));
        expect(floor("2026-11-30T17:30:00Z")).toBe(9);
        expect(floor("2026-11-30T12:30:00Z")).toBe(6);
        expect(floor("2026-11-30T03:30:00Z")).toBe(2);
        expect(floor("2026-11-30T12:30:00Z", 7)).toBe(7);
        expect(floorAt({ min: 3, schedule: [] }, 0)).toBe(3);
    });

    it("of a window a day long is the one of either side of it, at any minute of two years", () => {
        const minutes = fc.integer({ min: 0, max: 2 * 365 * 1440 });
        fc.assert(
            fc.property(minutes, (minute) => {
                const nowMs = Date.UTC(2026, 0, 1) + minute * 60_000;
                const hour = Number(
                    new Intl.DateTimeFormat("en", {
                        timeZone: berlin,
                        hour: "2-digit",
                        hourCycle: "h23",
                    }).format(nowMs),
                );
                const window = { start: "0 8 * * *", end: "0 20 * * *", timezone: berlin, min: 6 };
                expect(floorAt({ min: 2, schedule: [window] }, nowMs)).toBe(hour >= 8 && hour < 20 ? 6 : 2);
            }),
            { numRuns: 300 },
        );
    });
});
