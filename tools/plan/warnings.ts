import { keyNames, types } from "../../lib/identity";
import type { Change } from "./changes";
import type { Draft } from "./model";
import { count } from "../cli/words";
import { type Left, sayLeft } from "../live/left";

/** Settings with which nothing that runs fits any more, and what their change does. */
const identity: Record<string, string> = {
    region: "deletes everything and makes it again elsewhere, with another address",
    vpcId: "replaces every machine",
    namePrefix: "renames tags and firewalls under machines that serve",
    stack: "name renames tags and firewalls under machines that serve",
};

/** What runs left that did not end well. @param isCutOff The last one ended before its haproxy.cfg was applied. */
export function earlierRuns(
    stack: string,
    { pending, isCutOff, left }: { pending: readonly string[]; isCutOff: boolean; left: Left },
): string[] {
    const doctor = `\`make doctor STACK=${stack}\``;
    const said = sayLeft(left);
    const clears = left.waiting.length + left.idle.length > 0;
    const deletes = clears ? `. ${doctor} deletes what serves nobody, before this makes more` : "";
    return [
        pending.length > 0 &&
            `a run was killed while ${pending.join(", ")}: ${doctor} first, then plan again`,
        isCutOff &&
            "an earlier run ended before its haproxy.cfg was applied to the end: HAProxy runs that one or the one before. " +
                "This run applies what the config says before it deletes a droplet",
        said !== undefined && said + deletes,
    ].filter((text) => text !== false);
}

/** What a reviewer should not miss, the worst first; of the config alone, the program has warned. */
export function warningsOf({ settings, servers, loadBalancer }: Draft, changes: readonly Change[]): string[] {
    const { before, after } = servers;
    const newKeys = changes.some(
        ({ type, name, action, before }) =>
            type === types.localCommand &&
            Object.values<string>(keyNames()).includes(name) &&
            action !== "same" &&
            before,
    );
    const endsHttps = changes.some(({ type, action }) => type === types.https && action === "delete");
    // The policy refuses it, unless the config asks for it; then it is still to be seen.
    const opensSsh = changes.some(
        ({ type, after }) => type === types.network && after?.inputs?.sshFromAnywhere === true,
    );
    return [
        ...settings.map(
            ({ key }) =>
                key in identity &&
                before > 0 &&
                `another ${key} ${identity[key] ?? ""}: make a new stack instead, move the traffic there, destroy this one`,
        ),
        newKeys && "keys are made anew: every machine that carries them is replaced",
        after === 0 && "no server is left: every request gets the 503 page",
        after === 1 && "one server is left: when it dies, nothing serves",
        after > 0 &&
            after < before / 2 &&
            `shrinks below half: ${count(before, "server")} become ${after}, each gets ${(before / after).toFixed(1)} times the requests`,
        loadBalancer.action === "replace" && "the load balancer is replaced: better in a quiet hour",
        endsHttps &&
            "HTTPS ends: whoever has been redirected to it, or told of it by HSTS, goes there all the same and gets no answer",
        opensSsh && "SSH on the load balancer is open to the whole Internet (sshFromAnywhere)",
    ].filter((text) => text !== false);
}
