/** `npm run docs:config`: writes the table of docs/configuration.md from Pulumi.yaml. */
import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { withConfigTable } from "./config-table.ts";

const page = path.resolve(import.meta.dirname, "../docs/configuration.md");
writeFileSync(page, withConfigTable(readFileSync(page, "utf8")));
