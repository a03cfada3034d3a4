import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { slowPath } from "./client";

/** An answer that takes 17 seconds: it is under way during all that happens to a load balancer in a change. */
export const slowerPath = "/slower";

/**
 * Gives the backends of a copy of the program an answer that takes two seconds (18 KB at 8 KB a second), and one that
 * takes 17. Visitors of short pages alone would not notice a server that is taken away.
 *
 * @param folder The copy: its userdata/nginx.yaml is edited.
 */
export function serveSlowly(folder: string): void {
    const slow = `location = ${slowPath} { alias /usr/share/common-licenses/GPL-2; limit_rate 8k; }`;
    const slower = `location = ${slowerPath} { alias /usr/share/common-licenses/GPL-3; limit_rate 2k; }`;
    const file = path.join(folder, "userdata/nginx.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace("location = /healthz", `${slow} ${slower} $&`));
}
