import type { ProgramInfo } from "@pulumi/pulumi/proto/language_pb.js";

/** `runtime.options` of Pulumi.yaml: https://www.pulumi.com/docs/iac/concepts/projects/project-file/#runtime-options */
export interface RuntimeOptions {
    /** Run TypeScript directly; default true. */
    typescript: boolean;
    /** Path of the tsconfig.json to run with, relative to the program; default the SDK's choice. */
    tsconfig?: string;
    /** Arguments for `node`, before the program. */
    nodeargs: string[];
    /** `pulumi install` leaves devDependencies out. */
    production: boolean;
}

/** Reads and checks the options; throws an Error that names the wrong one and what is allowed. */
export function runtimeOptions(info: ProgramInfo | undefined): RuntimeOptions {
    const raw = info?.getOptions()?.toJavaScript() ?? {};
    const packageManager = read(raw, "packagemanager", "string") ?? "auto";
    if (packageManager !== "auto" && packageManager !== "npm") {
        throw new Error(
            `${optionName("packagemanager")} should be npm with the offline engine, got ${packageManager}`,
        );
    }
    return {
        typescript: read(raw, "typescript", "boolean") ?? true,
        tsconfig: read(raw, "tsconfig", "string"),
        nodeargs: splitWords(read(raw, "nodeargs", "string") ?? ""),
        production: read(raw, "production", "boolean") ?? false,
    };
}

interface Kinds {
    string: string;
    boolean: boolean;
}

function read<Kind extends keyof Kinds>(
    raw: Record<string, unknown>,
    key: string,
    kind: Kind,
): Kinds[Kind] | undefined {
    const value = raw[key];
    if (value === undefined) return undefined;
    if (typeof value !== kind)
        throw new Error(`${optionName(key)} should be a ${kind}, got ${JSON.stringify(value)}`);
    return value as Kinds[Kind];
}

const optionName = (key: string) => `runtime.options.${key} in Pulumi.yaml`;

/** Splits at blanks as a shell does; blanks inside single or double quotes stay, the quotes go. */
export function splitWords(text: string): string[] {
    const words = text.match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) ?? [];
    return words.map((word) => word.replaceAll(/"([^"]*)"|'([^']*)'/g, "$1$2"));
}
