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
