import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { execFile } from "node:child_process";
import type { AutoscaleOptions } from "../autoscale";

interface InstallOptions extends Pick<AutoscaleOptions, "stack" | "apply" | "metricsPort"> {
    /** A timer that looks once a minute, in place of a service that always runs. @default false */
    timer?: boolean;
    /** Print the files, and write nothing. @default false */
    print?: boolean;
}

/** What the units have of this machine: the checkout, the user, the path of node, folders of the programs that it runs. */
type ThisMachine = Record<"folder" | "user" | "node" | "path", string>;

export interface UnitFile {
    /** Where it belongs. */
    file: string;
    text: string;
}

const unitFolder = "/etc/systemd/system";
const programs = ["pulumi", "git", "ssh"];

/** The service of a stack, which a timer starts where there is one; of no stack, its template. */
const serviceOf = (stack: string, timer: boolean): string =>
    `dropscale-autoscale${timer ? "-once" : ""}@${stack}.service`;

/** The unit to enable for a stack. */
export const unitOf = (stack: string, timer: boolean): string =>
    timer ? serviceOf(stack, timer).replace(/service$/, "timer") : serviceOf(stack, timer);

/**
 * The unit files of a stack: the templates, which all stacks of this machine share, and what this one is run with.
 *
 * @throws Error for a folder whose path a unit can't hold.
 */
export function unitFiles(
    { stack, apply, timer = false, metricsPort }: InstallOptions,
    place: ThisMachine,
): UnitFile[] {
    for (const word of Object.values(place))
        if (/["\\$\n]/.test(word))
            throw new Error(`a unit can't hold the path ${word}: move it to one without quotes, \\ and $`);
    const templates = new Set([serviceOf("", timer), unitOf("", timer)]);
    const options = [
        ...(apply ? [`--apply ${apply}`] : []),
        ...(metricsPort === undefined ? [] : [`--metrics-port ${metricsPort}`]),
    ].join(" ");
    return [
        ...[...templates].map((name) => ({ file: path.join(unitFolder, name), text: filled(name, place) })),
        {
            file: path.join(unitFolder, `${serviceOf(stack, timer)}.d`, "options.conf"),
            text: `[Service]\nEnvironment="DROPSCALE_OPTIONS=${options}"\n`,
        },
    ];
}

function filled(template: string, place: ThisMachine): string {
    const read = (name: string) => readFileSync(path.join(__dirname, name), "utf8");
    // In a unit, % begins a specifier.
    return Object.entries(place).reduce(
        (text, [name, value]) => text.replaceAll(`@${name.toUpperCase()}@`, value.replaceAll("%", "%%")),
        read(template).replace("@COMMON@\n", read("common.conf")),
    );
}

/** What belongs into the file of secrets, as a text to fill in. */
export function secretsTemplate(apply: InstallOptions["apply"]): string {
    return [
        "# Read by systemd as root: keep it at mode 0600. One VARIABLE=value a line.",
        "# Where the state is: PULUMI_ACCESS_TOKEN for Pulumi Cloud, or PULUMI_BACKEND_URL for a bucket or a folder",
        "# (for Spaces with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION).",
        "#PULUMI_BACKEND_URL=",
        "# With a backend of your own: what the stack's secrets are encrypted with.",
        "#PULUMI_CONFIG_PASSPHRASE=",
        ...(apply === "commit"
            ? [
                  "# No DigitalOcean token: the pipeline has it. `git push` must work for this user, by a deploy key.",
                  "# Only autoscale.cpu wants a DIGITALOCEAN_TOKEN here, of one that may read metrics: monitoring:read.",
              ]
            : [
                  "# With the scopes of docs/security.md; with autoscale.cpu, monitoring:read, too.",
                  "#DIGITALOCEAN_TOKEN=",
              ]),
        "",
    ].join("\n");
}

/**
 * Writes the units that run a stack's autoscaler from this checkout, and a file to put its secrets in.
 *
 * @throws Error where this machine can't run them, with what to do.
 */
export async function install(options: InstallOptions): Promise<void> {
    const { stack, apply, timer = false, print = false } = options;
    if (!/^[a-z0-9-]{1,60}$/.test(stack))
        throw new Error(
            `--stack should be the stack's name alone, lower-case letters, digits and dashes, got ${stack}`,
        );
    const files = unitFiles(options, {
        folder: process.cwd(),
        user: process.env.SUDO_USER ?? userInfo().username,
        node: process.execPath,
        path: searchPath(),
    });
    const secrets = `/etc/dropscale/${stack}.env`;
    if (print) {
        const env = { file: `${secrets} (mode 0600)`, text: secretsTemplate(apply) };
        for (const { file, text } of [...files, env]) console.log(`# ${file}\n${text}`);
        return;
    }
    requireHost(options);
    for (const { file, text } of files) {
        mkdirSync(path.dirname(file), { recursive: true });
        writeFileSync(file, text);
        console.log(`wrote ${file}`);
    }
    mkdirSync(path.dirname(secrets), { recursive: true, mode: 0o700 });
    const isThere = existsSync(secrets);
    if (!isThere) writeFileSync(secrets, secretsTemplate(apply), { mode: 0o600 });
    else if ((statSync(secrets).mode & 0o077) !== 0)
        console.log(`${secrets} can be read by others: chmod 600 ${secrets}`);
    await promisify(execFile)("systemctl", ["daemon-reload"]);
    const next = [
        isThere ? `${secrets} stays as it is` : `fill in ${secrets}: what it must hold stands there`,
        `systemctl disable --now ${unitOf(stack, !timer)}   if that one ran before: one autoscaler a stack`,
        `systemctl enable --now ${unitOf(stack, timer)}`,
        `journalctl --follow --unit ${serviceOf(stack, timer)}   what it does${apply ? "" : ", and would do: without --apply it changes nothing"}`,
    ];
    console.log(["", "Next:", ...next.map((line) => `  ${line}`)].join("\n"));
}

/** @throws Error where the units could not be written or would not run. */
function requireHost({ stack, apply, timer = false }: InstallOptions): void {
    const command = `npm run autoscale -- --stack ${stack}${apply ? ` --apply ${apply}` : ""}`;
    // https://www.freedesktop.org/software/systemd/man/latest/sd_booted.html
    if (!existsSync("/run/systemd/system"))
        throw new Error(
            `systemd does not run this machine, so that it can't run units: have \`${command}\` run by what ` +
                `supervises services here${timer ? ", or `--once` by cron, once a minute" : ""}; --print shows the units for another one`,
        );
    if (process.getuid?.() !== 0)
        throw new Error("units are root's to write: run this with sudo, or with --print to see them");
    for (const program of programs)
        if (found(program) === undefined)
            throw new Error(
                `there is no \`${program}\` on PATH; install it, or pass yours on: ` +
                    `sudo env "PATH=$PATH" npm run dropscale -- install-autoscaler …`,
            );
}

function found(program: string): string | undefined {
    const folders = (process.env.PATH ?? "").split(":");
    return folders.find((folder) => path.isAbsolute(folder) && existsSync(path.join(folder, program)));
}

/** Where the programs are found now, and the usual places; not what npm adds for itself. */
function searchPath(): string {
    const own = [path.dirname(process.execPath), ...programs.flatMap((program) => found(program) ?? [])];
    return [...new Set([...own, "/usr/local/bin", "/usr/bin", "/bin"])].join(":");
}
