/**
 * `tsx tools/publish.ts comment FILE`: puts what `plan` wrote on the pull request whose pipeline this runs in.
 * `tsx tools/publish.ts issue FILE`: puts what `drift` wrote into an issue; `--close` closes it.
 *
 * The first line of the file is a marker, `<!-- dropscale plan: STACK -->`. What begins with it already is edited in
 * place, so that there is one for each stack.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runCommand } from "./command";
import { forgeOf } from "./forges";
import { publish } from "./publication";

const usage = "tsx tools/publish.ts comment FILE | tsx tools/publish.ts issue FILE [--close]";

interface Options {
    what: "comment" | "issue";
    file: string;
    /** The issue has been dealt with: it is closed, and none is opened. */
    close: boolean;
}

async function main({ what, file, close }: Options): Promise<void> {
    console.log(await publish(forgeOf(process.env), what, readFileSync(file, "utf8"), close));
}

/** @throws Error that says what is allowed. */
function readOptions(args: string[]): Options {
    const { values, positionals } = parseArgs({
        args,
        allowPositionals: true,
        options: { close: { type: "boolean", default: false } },
    });
    const [what, file, ...more] = positionals;
    if ((what !== "comment" && what !== "issue") || file === undefined || more.length > 0)
        throw new Error("name one of comment and issue, and a file");
    if (values.close && what === "comment") throw new Error("a comment can't be closed");
    return { what, file, close: values.close };
}

runCommand(usage, readOptions, main);
