import pc from "picocolors";
import { withLook } from "../../tools/live/events.ts";
import { parseReading } from "../../tools/live/reading.ts";
import { frame, type Scene } from "../../tools/top/frame.ts";
import { longAnswer } from "../pool-readings.ts";

/**
 * CPU time that `make top` needs for one frame of so many servers, in ms: from HAProxy's answer to the lines. The mean of
 * 20; what else runs on the machine does not count.
 */
export function frameMs(servers: number): number {
    let scene: Scene = {
        ...{ stack: "prod", url: "http://192.0.2.1", monthlyCost: 6, wanted: servers, autoscale: undefined },
        ...{ looks: [], events: [], problem: undefined, nowMs: 0 },
    };
    const colours = pc.createColors(true);
    const one = (second: number, answer = longAnswer(servers, 900 * second)) => {
        const look = { atMs: 1000 * second, reading: parseReading(answer) };
        const events = withLook(scene.events, look, scene.looks.at(-1));
        scene = { ...scene, looks: [...scene.looks, look].slice(-60), events, nowMs: look.atMs };
        return frame(scene, colours, 200, servers + 50).length;
    };
    // As many looks as a screen that has been open for a while.
    for (let second = 1; second <= 60; second++) one(second);
    const answers = Array.from({ length: 20 }, (_, i) => longAnswer(servers, 900 * (61 + i)));
    const before = process.cpuUsage();
    answers.forEach((answer, i) => one(61 + i, answer));
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000 / 20;
}
