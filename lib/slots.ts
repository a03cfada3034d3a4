/**
 * The slot numbers of a pool: the first `replicas` whole numbers from 0 that are not in `retired`.
 *
 * A slot is a server's identity (`web-<slot>`). Growing adds at the end and renames nothing; shrinking removes
 * the highest; retiring one removes exactly that one and adds one at the end.
 *
 * @param replicas How many, a whole number >= 0.
 * @param retired Slots never to use, in any order, repeats allowed.
 */
export function slots(replicas: number, retired: readonly number[]): number[] {
    const unusable = new Set(retired);
    const result: number[] = [];
    for (let slot = 0; result.length < replicas; slot++) {
        if (!unusable.has(slot)) result.push(slot);
    }
    return result;
}
