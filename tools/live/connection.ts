import { readOutputs, type StackOutputs } from "../pulumi/run";
import type { TimedReading } from "./reading";
import { Watch } from "./watch";

/**
 * The way to a stack's load balancer. After a look that failed the next one begins it anew, with the outputs as they are by
 * then: the load balancer or its key may be another one.
 */
export class Connection {
    private watch: Watch | undefined;
    private isStale = false;

    /**
     * @param options See {@link Watch}.
     * @param outputs The newest that are known. @default the first look reads them
     */
    constructor(
        private readonly stack: string,
        private readonly options: { alone?: boolean } = {},
        public outputs?: StackOutputs,
    ) {}

    /** @param heartbeat See {@link Watch.look}. @throws as Watch.look, or where the outputs can't be read. */
    async look(heartbeat = ""): Promise<TimedReading> {
        try {
            const outputs = this.outputs && !this.isStale ? this.outputs : await this.readOutputs();
            this.watch ??= new Watch(outputs, this.options);
            return { reading: await this.watch.look(heartbeat), atMs: Date.now() };
        } catch (error) {
            this.close();
            this.isStale = true;
            throw error;
        }
    }

    async readOutputs(): Promise<StackOutputs> {
        this.outputs = await readOutputs(this.stack);
        this.isStale = false;
        return this.outputs;
    }

    close(): void {
        this.watch?.close();
        this.watch = undefined;
    }
}
