import { readFileSync } from "node:fs";
import * as path from "node:path";
import {
    isAdminHost,
    isLoadBalancer,
    isOfAdminHost,
    isOfAlerts,
    isOfContent,
    isOfDomains,
    isServer,
    names,
    parseUrn,
    types,
} from "../../lib/identity";
import type { ExportedResource } from "../pulumi/state";
import type { Change } from "./changes";

/**
 * What a state holds that this program did not put there. Whoever may write the state may plant it, and the next run
 * would act on it with its own credentials: the engine loads the plugins that a state names, runs the `delete` of a
 * command and the code of a dynamic resource out of it, and sends the token to the address that a provider has there.
 */

const providerType = "pulumi:providers:";
const commandType = "command:";

/** First parts of the types that the program makes: its own components, and those of the packages that it imports. */
const packages = ["dropscale", ...importedPackages()];

/** Inputs of a provider that say to where the token is sent; each with what it may be. */
const addresses: Record<string, (api: string) => string[]> = {
    apiEndpoint: (api) => ["https://api.digitalocean.com", api],
    spacesEndpoint: () => [
        "https://{{.Region}}.digitaloceanspaces.com",
        process.env.SPACES_ENDPOINT_URL ?? "",
    ],
};

/**
 * What must not be there when the engine loads a state, so before a preview, too: each with what to do.
 *
 * @param api The API of the stack's account: what its config says, or the environment.
 */
export function strangersIn(json: string, stack: string, api: string): string[] {
    const { deployment } = JSON.parse(json) as { deployment: { resources?: ExportedResource[] } | null };
    const resources = deployment?.resources ?? [];
    const stays = new Set(resources.flatMap((resource) => (resource.delete ? [] : [resource.urn])));
    return resources.flatMap((resource) => {
        const foreign = foreignKind(resource);
        if (foreign !== undefined) return [stranger(resource, foreign, stack)];
        const why = planted(resource, api) ?? (resource.delete ? nobodys(resource, stays) : undefined);
        return why === undefined ? [] : [edited(resource, why, stack)];
    });
}

/**
 * What a preview shows besides: what the program does not register, so that the run would delete it, and commands that
 * would run again by their text in the state.
 */
export function strangersAmong(changes: readonly Change[], stack: string): string[] {
    const made = new Set(
        changes.flatMap(({ urn, action }) => (action === "delete" ? [] : [parseUrn(urn).chain])),
    );
    const isOurs = (change: Change): boolean => {
        const { urn, type, name } = change;
        // Which of these there are, the config says.
        const ofSettings = [isOfDomains, isOfAdminHost, isOfAlerts, isOfContent];
        if (isServer(change) || ofSettings.some((isOf) => isOf(urn))) return true;
        if (type === types.vpc && name === names.network) return true;
        const isNamed = type.startsWith(commandType) || type === types.droplet;
        return !isNamed && made.has(parseUrn(urn).chain);
    };
    return changes.flatMap((change) => {
        if (change.action === "delete" && !isOurs(change))
            return [stranger(change, "which this program does not make", stack)];
        const runs = change.before !== undefined && ["update", "replace"].includes(change.action);
        const keeps = (change.after?.ignoreChanges ?? []).length > 0;
        return runs && keeps && change.type.startsWith(commandType)
            ? [
                  `${change.urn} would run again on this machine, by the text that stands in the state: ` +
                      `look at it (pulumi stack export --stack ${stack}), and if it is right, run ` +
                      `\`pulumi up --stack ${stack}\` by hand`,
              ]
            : [];
    });
}

function foreignKind({ urn, type }: ExportedResource): string | undefined {
    const parsed = parseUrn(urn);
    if (parsed.type !== type) return `whose type is another one, ${type}`;
    const kinds = parsed.chain.split("$").map((kind) => kind.split(":")[0] ?? "");
    const isOurs = type.startsWith(providerType)
        ? packages.includes(type.slice(providerType.length))
        : type === types.stack || kinds.every((kind) => packages.includes(kind));
    return isOurs ? undefined : "of a kind that this program does not make";
}

function planted({ type, inputs = {}, outputs = {} }: ExportedResource, api: string): string | undefined {
    if (type.startsWith(commandType))
        return isSet(inputs.delete) || isSet(outputs.delete)
            ? "has a command to run when it is deleted (`delete`); none of this program has"
            : undefined;
    if (!type.startsWith(providerType)) return undefined;
    const internal = inputs.__internal as object | undefined;
    if (isSet(inputs.pluginDownloadURL) || Object.keys(internal ?? {}).length > 0)
        return "has the engine load another plugin";
    const key = Object.keys(addresses).find(
        (key) => isSet(inputs[key]) && !addresses[key]?.(api).includes(String(inputs[key])),
    );
    return key === undefined ? undefined : `sends the token elsewhere (\`${key}\`)`;
}

/** What is still to be deleted has a successor of its name. */
function nobodys(resource: ExportedResource, stays: ReadonlySet<string>): string | undefined {
    const parsed = parseUrn(resource.urn);
    // The doctor deletes a successor that failed, and so leaves what serves without one.
    const isMachine = isServer(parsed) || isLoadBalancer(parsed) || isAdminHost(parsed);
    const isOurs = stays.has(resource.urn) || isMachine || isOfDomains(resource.urn);
    return isOurs ? undefined : "is to be deleted, and has no successor: this program did not make it";
}

const stranger = ({ urn }: { urn: string }, what: string, stack: string): string =>
    takeOut(`the state has ${urn}, ${what}`, `delete '${urn}'`, stack);

/** Without it, the next run would make it again, or not know it: only what is wrong with it is to go. */
const edited = ({ urn }: { urn: string }, why: string, stack: string): string =>
    takeOut(`in the state, ${urn} ${why}`, "edit", stack);

const takeOut = (what: string, command: string, stack: string): string =>
    `${what}: look who wrote it there (docs/pipeline.md), and take it out: pulumi state ${command} --stack ${stack}`;

const isSet = (value: unknown): boolean => value !== undefined && value !== null && value !== "";

/** `@pulumi/digitalocean` in package.json: types such as `digitalocean:index/droplet:Droplet`. */
function importedPackages(): string[] {
    const text = readFileSync(path.join(__dirname, "../../package.json"), "utf8");
    const { dependencies } = JSON.parse(text) as { dependencies: Record<string, string> };
    return Object.keys(dependencies).flatMap((name) => /^@pulumi\/(?!pulumi$)(.+)$/.exec(name)?.[1] ?? []);
}
