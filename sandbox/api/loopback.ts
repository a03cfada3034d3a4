import type { Machines } from "../machines.ts";

/** Machines that are states only: every call succeeds at once, and what was active stays so over a restart. */
export function loopbackMachines(): Machines {
    const nothing = () => Promise.resolve();
    return {
        start: (cloud) =>
            Promise.resolve(
                new Set(cloud.droplets.filter((droplet) => droplet.status === "active").map(({ id }) => id)),
            ),
        sync: nothing,
        create: nothing,
        powerOn: nothing,
        powerOff: nothing,
        shutdown: nothing,
        reboot: nothing,
        resize: nothing,
        snapshot: () => Promise.resolve({ sizeGiB: 0.64 }),
        deleteSnapshot: nothing,
        usage: () => Promise.resolve(undefined),
        activeTasks: () => Promise.resolve(undefined),
        answers: () => Promise.resolve(undefined),
        destroy: nothing,
        onExit: () => undefined,
        detach: nothing,
        purge: nothing,
    };
}
