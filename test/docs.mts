/**
 * `npm run docs`: the comments that a pull request gets, made by the pipeline's own command against a sandbox, as
 * docs/plans/*.md. Needs root on Linux.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { makeWorld, upEndsWell } from "./world.mts";

const folder = path.resolve(import.meta.dirname, "../docs/plans");

/** What a pull request changes: the config, or the user data of the backends. */
const changes: Record<string, { config?: Record<string, unknown>; edit?: (userdata: string) => string }> = {
    "scale-out": { config: { replicas: 5 } },
    "scale-in": { config: { replicas: 2 } },
    size: { config: { size: "s-1vcpu-2gb" } },
    "user-data": { edit: (text) => text.replace("<h1>", "<h1>Welcome to ") },
    broken: { config: { replicas: 2000, healthPath: "no-slash", retired: [-1] } },
};

const now = { replicas: 3 };
const world = await makeWorld("nspawn", now);
try {
    mkdirSync(folder, { recursive: true });
    console.log("· making the stack");
    await upEndsWell(world);
    const nginx = path.join(world.folder, "userdata/nginx.yaml");
    const userdata = readFileSync(nginx, "utf8");
    for (const [name, { config = {}, edit = String }] of Object.entries(changes)) {
        await world.configure(config);
        writeFileSync(nginx, edit(userdata));
        const file = path.join(folder, `${name}.md`);
        const { code, text } = await world.tool("plan", ["test", "--markdown", file, "--quiet"]);
        if (code !== (name === "broken" ? 1 : 0)) throw new Error(`${name} ended with ${code}:\n${text}`);
        console.log(`· ${path.relative(process.cwd(), file)}`);
        const none = Object.fromEntries(Object.keys(config).map((key) => [key, undefined]));
        await world.configure({ ...none, ...now });
        writeFileSync(nginx, userdata);
    }
} finally {
    await world.close();
}
