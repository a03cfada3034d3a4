import { ask, titleOf } from "./ask";
import type { Forge } from "./forges";
import type { FileChange } from "./pulls";

/**
 * Opens a pull request that changes one file, or renews the one that is open: nobody merges last month's. Its branch is
 * this command's own, and whatever was on it goes.
 *
 * @param text Its first line is a marker: `<!-- dropscale SUBJECT: STACK -->`.
 * @throws Error where there is no marker, or the forge refuses or does not answer.
 */
export async function openPullRequest(forge: Forge, text: string, change: FileChange): Promise<string> {
    const { pulls } = forge;
    const { subject, stack, title } = titleOf(text);
    const branch = `dropscale-${subject}-${stack}`;
    await pulls.push(forge, branch, change, title);
    const [open] = (await ask(forge, "GET", pulls.list(branch))) as Record<string, unknown>[];
    if (open) {
        await ask(forge, pulls.method, pulls.item(open), { [pulls.textField]: text });
        return `pull request ${String(open.id)}: renewed`;
    }
    const made = (await ask(forge, "POST", pulls.create, { title, ...pulls.body(branch, text) })) as {
        id: number;
    };
    return `pull request ${made.id}: opened`;
}
