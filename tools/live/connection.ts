import { readOutputs, type StackOutputs } from "../pulumi/run";
import type { TimedReading } from "./reading";
import { Watch } from "./watch";

/**
 * The way to a stack's load balancer. After a look that failed the next one begins it anew, with the outputs as they are by
 * then: the load balancer or its key may be another one.
 */
export class Connection {
    private watch: Watch | undefined;
    private isKnown: boolean;

    /**
     * @param options See {@link Watch}.
     * @param outputs The newest that are known. @default the first look reads them
     */
    constructor(
        private readonly stack: string,
        private readonly options: { alone?: boolean } = {},
        public outputs?: StackOutputs,
    ) {
        this.isKnown = outputs !== undefined;
    }

    /** @param heartbeat See {@link Watch.look}. @throws as Watch.look, or where the outputs can't be read. */
    async look(heartbeat = ""): Promise<TimedReading> {
        try {
            const outputs = this.isKnown && this.outputs ? this.outputs : await this.readOutputs();
            this.watch ??= new Watch(outputs, this.options);
            return { reading: await this.watch.look(heartbeat), atMs: Date.now() };
        } catch (error) {
            this.close();
            this.isKnown = false;
            throw error;
        }
    }

    async readOutputs(): Promise<StackOutputs> {
        this.outputs = await readOutputs(this.stack);
        this.isKnown = true;
        return this.outputs;
    }

    close(): void {
        this.watch?.close();
        this.watch = undefined;
    }
}
