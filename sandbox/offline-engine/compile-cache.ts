/**
 * Loaded by Node.js before a program or plugin of the offline engine (`--require`): keeps what V8 makes of libraries' code
 * for the next process, and loads what the SDK needs for rare cases alone when it is needed. Nothing else changes: the same
 * files run, from their own paths.
 * https://nodejs.org/api/vm.html#scriptcreatecacheddata; newer releases of Node.js have the cache built in:
 * https://nodejs.org/api/module.html#moduleenablecompilecachecachedir
 */
import { createHash } from "node:crypto";
import fs from "node:fs";
import Module, { createRequire } from "node:module";
import path from "node:path";
import v8 from "node:v8";
import vm from "node:vm";
import { cacheDir } from "../instance.ts";

/** What is known of a module's insides, and not said by its types. */
type Loadable = NodeJS.Module & { _compile: (code: string, file: string, ...rest: unknown[]) => unknown };
const { prototype, wrapper } = Module as unknown as { prototype: Loadable; wrapper: [string, string] };

/** More than all that one version of a program needs: older ones go. */
const MOST_BYTES = 64 << 20;
/** By the end of a file's name: what it loads and uses only to trace, to send a function to the cloud, or to run `pulumi`. */
const LATER: [file: string, request: RegExp][] = [
    ["@pulumi/pulumi/index.js", /^\.\/automation$/],
    ["@pulumi/pulumi/cmd/run/tracing.js", /^@opentelemetry\/(?!api$)/],
    ["@pulumi/pulumi/runtime/closure/codePaths.js", /^@npmcli\/arborist$/],
];

const main = process.argv[1] ?? "";
const folder = path.join(cacheDir(), "compiled");
const store = path.join(
    folder,
    `${path.basename(path.dirname(main))}-${path.basename(main)}-${process.version}`,
);
const kept = read();
const compiled = new Map<string, vm.Script>();
// The SDK sets this while it loads, and V8 takes no code that was compiled under other flags.
if (main.includes(path.join("@pulumi", "pulumi", "cmd"))) v8.setFlagsFromString("--allow-natives-syntax");

const compile = prototype._compile;
prototype._compile = function (this: Loadable, code, file, ...rest) {
    const isLibrary = file.includes(`${path.sep}node_modules${path.sep}`) || file === main;
    // What `import()` means depends on how Node.js itself has loaded the file; TypeScript has only the words.
    const imports = code.includes("import(") && path.basename(file) !== "typescript.js";
    if (!isLibrary || imports || code.startsWith("#!")) return compile.call(this, code, file, ...rest);
    const key = createHash("sha1").update(code).digest("hex");
    const cachedData = kept.get(key);
    const [head, tail] = wrapper;
    const script = new vm.Script(head + code + tail, {
        filename: file,
        columnOffset: -head.length,
        cachedData,
    });
    if (script.cachedDataRejected !== false) compiled.set(key, script);
    const run = script.runInThisContext() as (...args: unknown[]) => unknown;
    return run.call(this.exports, this.exports, requireOf(this), this, file, path.dirname(file));
};

function requireOf(module: Loadable): NodeJS.Require {
    const later = LATER.filter(([file]) => module.filename.endsWith(path.normalize(file)));
    const load = (request: string) =>
        later.some(([, wanted]) => wanted.test(request))
            ? whenUsed(() => module.require(request) as object)
            : (module.require(request) as unknown);
    // With `resolve`, `main`, `cache`.
    return Object.assign(load, createRequire(module.filename));
}

/** A module that is loaded at the first look into it. */
function whenUsed(load: () => object): object {
    // TypeScript's output asks for `__esModule` at once.
    return new Proxy(
        {},
        { get: (_, name) => name === "__esModule" || (Reflect.get(load(), name) as unknown) },
    );
}

process.on("exit", () => {
    if (compiled.size === 0) return;
    try {
        write();
    } catch {
        // A full disk, or a folder of somebody else's: the next process compiles again.
    }
});

/** The file: a line of JSON that says which key has how many bytes, then those bytes. */
function read(): Map<string, Buffer> {
    try {
        const file = fs.readFileSync(store);
        const end = file.indexOf("\n");
        let start = end + 1;
        const lengths = JSON.parse(file.toString("utf8", 0, end)) as [string, number][];
        return new Map(lengths.map(([key, length]) => [key, file.subarray(start, (start += length))]));
    } catch {
        return new Map();
    }
}

function write(): void {
    const made = [...compiled].map(([key, script]) => [key, script.createCachedData()] as const);
    const all = [...new Map([...kept, ...made])];
    const bytes = all.reduce((sum, [, { length }]) => sum + length, 0);
    const wanted = bytes > MOST_BYTES ? made : all;
    const lengths = JSON.stringify(wanted.map(([key, { length }]) => [key, length]));
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const unfinished = `${store}.${process.pid}`;
    fs.writeFileSync(
        unfinished,
        Buffer.concat([Buffer.from(`${lengths}\n`), ...wanted.map(([, data]) => data)]),
    );
    fs.renameSync(unfinished, store);
}
