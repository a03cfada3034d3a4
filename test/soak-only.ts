import { it } from "vitest";

/**
 * A step of a story that `make soak` alone takes (it runs those files, too): minutes for one more case of what the steps
 * before it show already.
 */
export function inSoak(name: string, step: () => Promise<void>): void {
    if (process.env.SOAK === "yes") it(name, step);
}
