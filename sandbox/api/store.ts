import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

import type { Cloud } from "../model.ts";
import { emptyCloud } from "./cloud.ts";

/** The one `Cloud` of a sandbox, and the file it survives in. */
export interface Store {
    readonly cloud: Cloud;
    /** Writes the cloud to its file: whole or not at all. */
    save(): void;
}

/** Finished actions kept: the file must not grow without end. */
const actionsKept = 2_000;

/**
 * Opens `<stateDir>/cloud.json`, or starts with an empty cloud if there is none. The file holds user data, which
 * may hold secrets: it and the folder are the owner's alone.
 */
export function openStore(stateDir: string): Store {
    mkdirSync(stateDir, { recursive: true });
    // Also where something else made it before: droplets' disks and the engine's state lie in it, too.
    chmodSync(stateDir, 0o700);
    const file = path.join(stateDir, "cloud.json");
    const cloud = read(file);
    return {
        cloud,
        save() {
            cloud.actions.splice(0, Math.max(0, cloud.actions.length - actionsKept));
            writeFileSync(`${file}.new`, JSON.stringify(cloud), { mode: 0o600 });
            renameSync(`${file}.new`, file);
        },
    };
}

function read(file: string): Cloud {
    let text: string;
    try {
        text = readFileSync(file, "utf8");
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return emptyCloud();
        throw error;
    }
    try {
        return { ...emptyCloud(), ...(JSON.parse(text) as Cloud) };
    } catch (error) {
        throw new Error(`${file} is not what the sandbox wrote; remove the sandbox with --purge`, {
            cause: error,
        });
    }
}
