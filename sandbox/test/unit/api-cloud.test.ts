import { expect, it } from "vitest";

import { emptyCloud, unusedSnapshots } from "../../api/cloud.ts";
import type { Droplet, Snapshot } from "../../model.ts";

const snapshot = (id: number, parents: number[], deleted: boolean) =>
    ({ id, parents, ...(deleted ? { deleted } : {}) }) as Snapshot;
const droplet = (snapshotId: number) => ({ image: { snapshotId } }) as Droplet;
const ids = (snapshots: Snapshot[], droplets: Droplet[] = []) =>
    unusedSnapshots({ ...emptyCloud(), snapshots }, droplets).map(({ id }) => id);

it("a deleted snapshot is unused when neither a droplet nor a kept snapshot stands on it, however far down", () => {
    expect(ids([snapshot(1, [], false)])).toEqual([]);
    expect(ids([snapshot(1, [], true)])).toEqual([1]);
    expect(ids([snapshot(1, [], true)], [droplet(1)])).toEqual([]);
    const chain = [snapshot(1, [], true), snapshot(2, [1], true), snapshot(3, [1, 2], true)];
    expect(ids(chain, [droplet(3)])).toEqual([]);
    expect(ids(chain, [droplet(2)])).toEqual([3]);
    expect(ids([...chain.slice(0, 2), snapshot(3, [1, 2], false)])).toEqual([]);
    expect(ids(chain)).toEqual([1, 2, 3]);
});
