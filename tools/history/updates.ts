import { readPulumi } from "../pulumi/run";

/** One update as `pulumi stack history --json` has it; the rest is left out. */
export interface Update {
    /** 0 for every update of a backend in files or a bucket. */
    version: number;
    /** `update`, `destroy`, `refresh`, `import`, … */
    kind: string;
    startTime: string;
    /** `--message`; without one, the title of the commit that is checked out; empty outside of a repository. */
    message: string;
    environment: Readonly<Record<string, string>>;
    /** The config, defaults included; of a secret nothing but that there is one. */
    config: Readonly<Record<string, { value?: string; secret?: boolean }>>;
    /** `succeeded`, `failed` or `in-progress`; the last one on Pulumi Cloud alone. */
    result: string;
    endTime?: string;
    resourceChanges?: Readonly<Record<string, number>>;
}

/** A page of 100 is about 700 KB. */
const pageSize = 100;

/**
 * The newest updates of a stack, newest first.
 *
 * @param isEnough Says whether no older ones are needed. @default all there are
 */
export async function readUpdates(
    stack: string,
    isEnough: (updates: readonly Update[]) => boolean = () => false,
): Promise<Update[]> {
    const updates = new Map<string, Update>();
    for (let page = 1; ; page++) {
        const options = ["--page-size", String(pageSize), "--page", String(page), "--stack", stack];
        const read = JSON.parse(await readPulumi("stack", "history", "--json", ...options)) as Update[];
        // A run that ends between two pages moves all by one: the last of a page is the next one's first.
        for (const update of read) updates.set(keyOf(update), update);
        const all = [...updates.values()];
        if (read.length < pageSize || isEnough(all)) return all;
    }
}

/** What tells an update from the others: times are of whole seconds, and a version may be 0. */
const keyOf = ({ version, kind, startTime, endTime }: Update): string =>
    [version, kind, startTime, endTime].join(" ");
