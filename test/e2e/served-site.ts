import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { makeWorld, upEndsWell, type World } from "../world.mts";
import { Visitors } from "./client";
import { serveSlowly } from "./site";

/** A stack on droplets that boot; it serves a page, and answers that take seconds. */
export interface ServedSite {
    readonly world: World;
    readonly url: string;
}

/**
 * For the suite in which it is called: the stack is there before the first test, and gone after the last.
 *
 * @param config As of {@link makeWorld}.
 */
export function servedSite(config: Record<string, unknown>): ServedSite {
    let made: World | undefined;
    let url = "";
    beforeAll(async () => {
        made = await makeWorld("nspawn", config);
        serveSlowly(made.folder);
        await upEndsWell(made);
        ({ url } = await made.outputs());
    });
    afterAll(async () => {
        await made?.close();
    });
    return {
        get world() {
            if (!made) throw new Error("the stack is made before the first test");
            return made;
        },
        get url() {
            return url;
        },
    };
}

/**
 * Somebody visits the site through each test of the suite in which it is called.
 *
 * @param look At what they noticed, when they have stopped. @default nobody may notice anything
 * @returns Those of the test that runs.
 */
export function visitedThroughout(
    site: ServedSite,
    look: (visitors: Visitors) => void = nobodyNoticed,
): () => Visitors {
    let visitors: Visitors | undefined;
    beforeEach(() => {
        visitors = new Visitors(site.url);
    });
    afterEach(async () => {
        if (!visitors) return;
        await visitors.stop();
        look(visitors);
    });
    return () => {
        if (!visitors) throw new Error("visitors come with each test");
        return visitors;
    };
}

function nobodyNoticed({ requests, failures }: Visitors): void {
    expect(requests).toBeGreaterThan(0);
    expect(failures).toEqual([]);
}
