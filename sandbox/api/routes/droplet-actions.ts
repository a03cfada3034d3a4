import { Type } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";

import type { Action, Droplet } from "../../model.ts";
import { sizes } from "../catalog.ts";
import type { ControlPlane } from "../control-plane.ts";
import { lacking, unprocessable } from "../errors.ts";
import { refuseHostname } from "./droplet-create.ts";

export const ActionBody = Type.Object({
    type: Type.String(),
    name: Type.Optional(Type.String()),
    size: Type.Optional(Type.String()),
    disk: Type.Optional(Type.Boolean()),
});
type ActionBody = Static<typeof ActionBody>;

/** Checks the request, and gives what the action does after the answer was sent. */
type Prepare = (
    control: ControlPlane,
    droplet: Droplet,
    body: ActionBody,
) => (action: Action) => Promise<void>;

/** How long a droplet may take to stop when asked to; then the action is errored, and it runs on. */
const shutdownSeconds = 60;

const table: Record<string, Prepare> = {
    power_on: (control, droplet) => async () => {
        if (droplet.status !== "active") await switchOn(control, droplet);
    },
    power_off: (control, droplet) => () => powerOff(control, droplet),
    power_cycle: (control, droplet) => async () => {
        await powerOff(control, droplet);
        await switchOn(control, droplet);
    },
    shutdown: (control, droplet) => async () => {
        if (droplet.status === "off") return;
        await control.machines.shutdown(droplet, shutdownSeconds);
        droplet.status = "off";
    },
    reboot: (control, droplet) => async () => {
        if (droplet.status === "off") throw new Error("it is off");
        await control.switchOn(droplet, () => control.machines.reboot(droplet));
    },
    rename: (_control, droplet, { name }) => {
        const checked = refuseHostname(name);
        return () => {
            droplet.name = checked;
            return Promise.resolve();
        };
    },
    resize: (control, droplet, { size: slug, disk = false }) => {
        const size = sizes.find((candidate) => candidate.slug === slug);
        if (!size) throw unprocessable("You specified an invalid size for Droplet resize.");
        if (!size.regions.includes(droplet.region))
            throw unprocessable("Size is not available in this region.");
        if (size.diskGiB < droplet.diskGiB) {
            throw unprocessable("This size is not available because it has a smaller disk.");
        }
        if (droplet.status !== "off")
            throw unprocessable("Droplet must be powered off before it is resized.");
        return async () => {
            await control.machines.resize(droplet, size);
            droplet.size = size.slug;
            if (disk) droplet.diskGiB = size.diskGiB;
        };
    },
    snapshot:
        (control, droplet, { name }) =>
        async (action) => {
            const { image } = droplet;
            const id = control.newId();
            const { sizeGiB } = await control.machines.snapshot(droplet, id);
            control.cloud.snapshots.push({
                id,
                name: name ?? `${droplet.name}-${action.id}`,
                dropletId: droplet.id,
                baseSlug: "slug" in image ? image.slug : image.snapshot.baseSlug,
                region: droplet.region,
                // Clients find the snapshot of an action by this time.
                createdAt: action.startedAt,
                minDiskGiB: droplet.diskGiB,
                sizeGiB,
                tags: [],
            });
        },
};

/** Every action of `POST /v2/droplets/{id}/actions` that the sandbox knows, by its type. */
const known: ReadonlyMap<string, Prepare> = new Map(Object.entries(table));
/** What DigitalOcean has beside them. */
const lackingTypes = [
    "enable_backups disable_backups change_backup_policy restore password_reset rebuild change_kernel enable_ipv6",
].flatMap((line) => line.split(" "));
/** What can be asked of all droplets of a tag. */
export const bulkTypes = [
    "power_cycle power_on power_off shutdown enable_ipv6 enable_backups disable_backups snapshot",
].flatMap((line) => line.split(" "));

/** Checks the request for each of the droplets, and starts it at all of them, or at none. */
export function startActions(
    control: ControlPlane,
    droplets: readonly Droplet[],
    body: ActionBody,
): Action[] {
    const { type } = body;
    const prepare = known.get(type);
    if (!prepare) {
        const message = `The sandbox has no action ${JSON.stringify(type)}; it has ${[...known.keys()].join(", ")}.`;
        throw lackingTypes.includes(type)
            ? lacking(`droplet action ${type}`, message)
            : unprocessable(message);
    }
    return droplets
        .map((droplet) => {
            control.refuseIfLocked(droplet);
            return { droplet, work: prepare(control, droplet, body) };
        })
        .map(({ droplet, work }) => control.startAction(droplet, type, work));
}

async function powerOff({ machines }: ControlPlane, droplet: Droplet): Promise<void> {
    if (droplet.status === "off") return;
    await machines.powerOff(droplet);
    droplet.status = "off";
}

function switchOn(control: ControlPlane, droplet: Droplet): Promise<void> {
    return control.switchOn(droplet, () => control.machines.powerOn(droplet));
}
