/** `npm run imports`: who imports whom, by folder. `test/unit/imports.test.ts` holds the same graph to its rules. */
import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import ts from "typescript";

const root = path.resolve(import.meta.dirname, "..");

/** The files that each file imports, types too; both by their path in the repository. */
export type Imports = ReadonlyMap<string, readonly string[]>;

const program = ["config", "account", "components", "userdata", "lib"];
const shared = ["tools/live", "tools/pulumi", "tools/cli", "policy", ...program.slice(1)];

/** What each room may import beside its own files: only what stands below it. */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
    "index.ts": program,
    config: program.slice(1),
    account: program.slice(2),
    components: program.slice(3),
    userdata: ["lib"],
    lib: [],
    policy: program.slice(1),
    "tools/main.ts": [
        ...[
            ...[
                "plan",
                "status",
                "top",
                "dashboard",
                "history",
                "drift",
                "doctor",
                "rollout",
                "autoscale",
                "deploy",
            ],
            ...["admit", "bake", "publish", "push"],
        ].map((command) => `tools/${command}`),
        "tools/cli",
    ],
    "tools/rollout": ["tools/deploy", "tools/plan", ...shared],
    "tools/deploy": ["tools/doctor", "tools/plan", ...shared],
    "tools/drift": ["tools/plan", ...shared],
    "tools/autoscale": ["tools/deploy", "tools/history", "tools/plan", ...shared],
    "tools/plan": ["config", ...shared],
    "tools/status": shared,
    "tools/top": ["tools/history", ...shared],
    "tools/history": shared,
    "tools/dashboard": ["tools/history", ...shared],
    "tools/doctor": shared,
    "tools/admit": shared,
    "tools/bake": shared,
    "tools/publish": shared,
    "tools/push": shared,
    "tools/live": ["tools/pulumi", "tools/cli", "policy", ...program.slice(1)],
    "tools/pulumi": ["tools/cli", "policy", ...program.slice(1)],
    "tools/cli": [],
    sandbox: [],
};

/** The folder that a file is in, as far as the rules tell folders apart; a file in the root, or in tools/, is its own. */
export function roomOf(file: string): string {
    const [first = "", second] = file.split("/");
    return first === "tools" && second !== undefined ? `tools/${second}` : first;
}

/** The imports of the program, of policy/, tools/ and sandbox/; tests and measurements may import what they like. */
export function readImports(): Imports {
    const folders = [...new Set(Object.keys(mayImport).map((room) => room.split("/", 1)[0] ?? ""))];
    const files = folders.flatMap((name) =>
        name.endsWith(".ts")
            ? [name]
            : readdirSync(path.join(root, name), { recursive: true, encoding: "utf8" })
                  .map((file) => path.posix.join(name, file.replaceAll(path.sep, "/")))
                  .filter((file) => /\.m?ts$/.test(file) && !/^sandbox\/(test|node_modules)\//.test(file)),
    );
    const known = new Set(files);
    const resolve = (from: string, to: string) => {
        const target = path.posix.join(path.posix.dirname(from), to);
        return [target, `${target}.ts`, `${target}/index.ts`].find((file) => known.has(file));
    };
    return new Map(
        files.map((file) => {
            const text = readFileSync(path.join(root, file), "utf8");
            const { importedFiles } = ts.preProcessFile(text, true, true);
            const own = importedFiles.map(({ fileName }) => fileName).filter((name) => name.startsWith("."));
            return [file, [...new Set(own.flatMap((name) => resolve(file, name) ?? []))]];
        }),
    );
}

/** Each import that goes from a room to one that it may not import. */
export function wrongImports(imports: Imports): string[] {
    return [...imports].flatMap(([file, targets]) => {
        const room = roomOf(file);
        const allowed = [room, ...(mayImport[room] ?? [])];
        return targets
            .filter((target) => !allowed.includes(roomOf(target)))
            .map((target) => `${file} imports ${target}`);
    });
}

/** Exported names of the program, of policy/ and tools/ that more than one file has, with those files. */
export function namesakes(): string[] {
    const found = new Map<string, string[]>();
    for (const file of readImports().keys()) {
        if (file.startsWith("sandbox/")) continue;
        const text = readFileSync(path.join(root, file), "utf8");
        for (const [, name = ""] of text.matchAll(
            /^export (?:async )?(?:function|const|class|interface|type) (\w+)/gm,
        ))
            found.set(name, [...(found.get(name) ?? []), file]);
    }
    return [...found]
        .filter(([, files]) => new Set(files).size > 1)
        .map(([name, files]) => `${name}: ${files.join(", ")}`);
}

/** Circles of files that import each other, each once. */
export function circles(imports: Imports): string[] {
    const done = new Set<string>();
    const found: string[] = [];
    const visit = (file: string, above: readonly string[]) => {
        const start = above.indexOf(file);
        if (start >= 0) found.push([...above.slice(start), file].join(" -> "));
        if (start >= 0 || done.has(file)) return;
        for (const target of imports.get(file) ?? []) visit(target, [...above, file]);
        done.add(file);
    };
    for (const file of imports.keys()) visit(file, []);
    return found;
}

/** A line for each room: the rooms that it imports, and how many of these imports there are. */
export function picture(imports: Imports): string {
    const rooms = Object.keys(mayImport);
    const width = Math.max(...rooms.map((room) => room.length));
    return rooms
        .map((room) => {
            const targets = [...imports]
                .filter(([file]) => roomOf(file) === room)
                .flatMap(([, all]) => all.map(roomOf));
            const counts = [...rooms, ...new Set(targets.filter((target) => !rooms.includes(target)))]
                .map((other) => [other, targets.filter((target) => target === other).length] as const)
                .filter(([other, count]) => other !== room && count > 0);
            const list = counts.map(([other, count]) => `${other} ${count}`).join(", ");
            return `${room.padEnd(width)}  ${list === "" ? "-" : list}`;
        })
        .join("\n");
}

if (process.argv[1] === import.meta.filename) console.log(picture(readImports()));
