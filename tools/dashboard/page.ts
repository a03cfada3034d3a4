import { readFileSync } from "node:fs";
import * as path from "node:path";
import { build } from "esbuild";
import type { PageFile } from "./server";

const folder = path.join(__dirname, "page");

/** The page, by path: its text, and one script and one style sheet with the chart library in them. Nothing else is loaded. */
export async function pageFiles(): Promise<Map<string, PageFile>> {
    const { outputFiles } = await build({
        absWorkingDir: folder,
        entryPoints: ["app.ts", "style.css"],
        outdir: folder,
        ...{ bundle: true, write: false, minify: true, logLevel: "silent" },
        ...{ format: "iife", target: "es2022", legalComments: "inline" },
    });
    const page = readFileSync(path.join(folder, "index.html"), "utf8");
    return new Map([
        ["/", { type: "text/html; charset=utf-8", text: page }],
        ...outputFiles.map(({ path: file, text }): [string, PageFile] => {
            const type = `text/${file.endsWith(".css") ? "css" : "javascript"}; charset=utf-8`;
            return [`/${path.basename(file)}`, { type, text }];
        }),
    ]);
}
