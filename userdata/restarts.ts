import { readYaml } from "./read-yaml";

/** Commands and settings after which a machine goes down, as words of a script. */
const restart =
    /(?<![\w.@/-])(?:\/(?:usr\/)?s?bin\/)?(?:(?:(?:soft-)?reboot|poweroff|halt)(?:\.target)?(?![\w.=:/-])|shutdown(?=\s+(?:-[a-zA-Z]|now|\+?\d)|\s*$|\s*["'`;&|)])|(?:tel)?init\s+[06](?!\w)|kexec\s+-e)|sysrq-trigger|Automatic-Reboot\s+"?true/;

/** Keys of cloud-config with which cloud-init itself restarts a machine. */
const restartKeys = ["power_state", "package_reboot_if_required", "apt_reboot_if_required"];

/**
 * Where user data plans that the machine restarts or goes down: a key of cloud-config, or the line of a script. When it
 * does can't be known, so neither can whether somebody is served then. Comments don't count; words that are only printed
 * do.
 *
 * @param text Cloud-config that is YAML, or a script.
 */
export function plannedRestarts(text: string): string[] {
    if (text.startsWith("#!")) return restartLines(text);
    const { value: config } = readYaml(text);
    if (typeof config !== "object" || config === null) return [];
    const found = Object.entries(config).flatMap(([key, value]) => {
        if (!restartKeys.includes(key)) return restartsIn(value);
        return value === null || value === false ? [] : [key];
    });
    return [...new Set(found)];
}

/** For a component, so that a plan knows that nobody can say when a new machine goes down; nothing where it does not. */
export function restartsAsInput(text: string): { plannedRestarts?: string[] } {
    const planned = plannedRestarts(text);
    return planned.length > 0 ? { plannedRestarts: planned } : {};
}

/** In all texts of a value; a list in a list is one command. */
function restartsIn(value: unknown, inList = false): string[] {
    if (typeof value === "string") return restartLines(value);
    if (typeof value !== "object" || value === null) return [];
    if (inList && Array.isArray(value)) return restartLines(value.join(" "));
    return Object.values(value).flatMap((inner) => restartsIn(inner, Array.isArray(value)));
}

function restartLines(text: string): string[] {
    const lines = text.split("\n").map((line) => line.replace(/(^|\s)#.*/, "").trim());
    return lines.filter((line) => restart.test(line)).map((line) => line.slice(0, 80));
}
