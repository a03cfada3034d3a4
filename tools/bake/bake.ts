import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import {
    type BakedImage,
    bakedImageName,
    type Builder,
    builderTag,
    describeBakedImage,
    readBakedImage,
} from "../../lib/baked-images";
import { userDataHash } from "../../userdata/render";
import { askApi, useAccountOf } from "../live/api";
import { StackConfig } from "../pulumi/stack-config";
import { readStack } from "../pulumi/stack";
import { runStep } from "../cli/steps";
import { outliveTerminal, stopOn } from "../cli/terminal";
import { count, dollars } from "../cli/words";
import { becomes, makeBuilder, removeBuilder, snapshot } from "./builder";
import { type AccountImage, deleteSurplus, imageCost } from "./images";
import { type Order, readOrder, type StackValues, type Wish } from "./order";

interface BakeOptions extends Wish {
    /** @default dev */
    stack: string;
    /** How long the set-up may take. */
    minutes: number;
    /** Only where the stack's image is a baked one. @default false */
    renew?: boolean;
    /** Write the number into the stack's config. @default false: the command is printed */
    write?: boolean;
    /** File for a pull request's text. */
    markdown?: string;
}

interface Made {
    image: AccountImage;
    baked: BakedImage;
}

const interrupted = 130;
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** One Ctrl-C comes twice through npm, which passes it on: some 35 ms later. */
const sameSignalMs = 1000;

/**
 * Makes a golden image: a droplet behind a firewall that lets nothing in is set up by user data, cleans itself, and powers
 * off; a snapshot of it is the image. Nobody logs in. However it ends, the droplet is deleted; after a `kill -9` the
 * doctor does that.
 *
 * @returns The exit code.
 * @throws Error where it can't be made; nothing of it is left then, or the error says what.
 */
export async function bake(options: BakeOptions): Promise<number> {
    const { stack, renew = false } = options;
    const config = new StackConfig(stack);
    const values = config.readAll();
    const { prefix } = await readStack(stack, () => Promise.resolve(false));
    await useAccountOf(stack);
    // A number may stand there without quotes.
    const of = (key: string): string => {
        const value = values[key];
        return typeof value === "string" || typeof value === "number" ? `${value}` : "";
    };
    const own: StackValues = { prefix, region: of("region"), image: of("image"), userdata: of("userdata") };
    if (renew && !(await isBaked(own.image))) {
        console.log(`stack ${stack} has no baked image (image: ${own.image}): there is none to renew`);
        return 0;
    }
    const order = await readOrder(options, own);
    console.error(
        `userdata/${order.name} on ${order.image}, ${order.size} in ${order.region}, for stack ${stack}`,
    );
    outliveTerminal();
    const stop = stopOn(...signals);
    const made = await make(order, prefix, options, stop).catch((error: unknown) => {
        if (!stop.signal.aborted) throw error;
        console.error("interrupted: there is no new image");
    });
    if (!made) return interrupted;
    if (options.write) config.write({ image: String(made.image.id) });
    await tell(made, own, options);
    return 0;
}

async function isBaked(image: string): Promise<boolean> {
    const found = (await askApi(`images/${image}`)) as { image: { name: string } } | undefined;
    return found !== undefined && readBakedImage(found.image.name) !== undefined;
}

async function make(
    order: Order,
    prefix: string,
    { stack, minutes }: BakeOptions,
    { signal }: AbortController,
): Promise<Made> {
    const builder: Builder = { startedAt: new Date(), run: randomBytes(4).toString("hex") };
    const baked: BakedImage = {
        ...{ prefix, userData: order.name, base: order.image },
        ...{ bakedAt: builder.startedAt, hash: userDataHash(order.text) },
    };
    signal.addEventListener("abort", () => {
        leaveOnSecondSignal(stack);
    });
    try {
        const id = await runStep("a builder, closed to everybody", () =>
            makeBuilder(prefix, builder, order, signal),
        );
        const setUp = `droplet ${id} is set up by userdata/${order.name}, cleans itself and powers off`;
        await runStep(setUp, async () => {
            if (!(await becomes(id, "off", minutes * 60, signal))) throw new Error(notSetUp(order, minutes));
        });
        const image = await runStep("a snapshot of it", () => snapshot(id, bakedImageName(baked), signal));
        return { image, baked };
    } finally {
        const deleted = runStep("the builder is deleted", () => removeBuilder(prefix, builder));
        await deleted.catch((error: unknown) => {
            console.error(
                `error: ${builderTag(prefix, builder)} could not be deleted: ${(error as Error).message}\n` +
                    `next: \`make doctor STACK=${stack}\``,
            );
        });
    }
}

function leaveOnSecondSignal(stack: string): void {
    const first = Date.now();
    console.error(
        `\nstopping: the builder is deleted; once more leaves that to \`make doctor STACK=${stack}\``,
    );
    for (const name of signals)
        process.on(name, () => {
            if (Date.now() - first > sameSignalMs) process.exit(interrupted);
        });
}

/** Nobody may log in, and the API shows no console: all that is known is that it has not powered itself off. */
function notSetUp({ name, image, size }: Order, minutes: number): string {
    return (
        `there is no image: the builder did not power itself off within ${minutes} min, so userdata/${name} failed on it or ` +
        `takes longer, which can't be told from outside. If it needs more time or memory than ${size} has: --minutes, --size. ` +
        `To see its errors, give it to servers: with image ${image}, \`pulumi up\` prints the end of the log of a set-up that fails`
    );
}

/** Says what there is and how it is used, on stdout, and deletes what it has made superfluous. */
async function tell({ image, baked }: Made, own: StackValues, options: BakeOptions): Promise<void> {
    const { stack, write, markdown } = options;
    const about = [
        `image ${image.id}: ${describeBakedImage(baked)}`,
        `${image.size_gigabytes} GB, ${dollars(imageCost(image))} a month; for sizes with a disk of ${image.min_disk_size} GB and more`,
    ];
    const set = (key: string, value: string | number) => `pulumi config set ${key} ${value} --stack ${stack}`;
    const other = baked.userData === own.userdata ? [] : [set("userdata", baked.userData)];
    const next = write
        ? `written to Pulumi.${stack}.yaml; next: ${[...other, `make plan STACK=${stack}`].join(" && ")}`
        : `next: ${[set("image", image.id), ...other, `pulumi up --stack ${stack}`].join(" && ")}`;
    console.log([...about, next, `to go back: ${set("image", own.image)}`].join("\n"));
    const deleted = await deleteSurplus(baked).catch((error: unknown) => {
        console.error(`warning: older images are left: ${(error as Error).message}`);
        return [];
    });
    const ids = deleted.map(({ id }) => id).join(", ");
    const gone = deleted.length > 0 ? [`deleted ${count(deleted.length, "older image")}: ${ids}`] : [];
    for (const line of gone) console.log(line);
    if (markdown === undefined) return;
    const text = [
        `<!-- dropscale bake: ${stack} -->`,
        `A new image for \`${stack}\`, of the packages of today.`,
        "",
        ...[...about, ...gone].map((line) => `- ${line}`),
        "",
        "Merging this replaces every server, new before old; the plan is in the comment. To go back, revert it.",
        "",
    ];
    writeFileSync(markdown, text.join("\n"));
}
