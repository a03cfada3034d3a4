import { type Api, ask } from "./ask";

/** A file of the repository, as it is to be. */
export interface FileChange {
    /** Its path there. */
    path: string;
    text: string;
}

/** How a forge makes a branch of one commit, and a pull request of it. */
export interface PullRequests {
    /** Puts the branch onto the commit that this runs on, with the change behind it: what came since is merged with it. */
    push: (api: Api, branch: string, change: FileChange, message: string) => Promise<void>;
    /** Path and query of the list of those that are open from the branch. */
    list: (branch: string) => string;
    create: string;
    body: (branch: string, text: string) => Record<string, unknown>;
    /** Path of one of them, and how it is changed. */
    item: (entry: Record<string, unknown>) => string;
    method: "PATCH" | "PUT";
    textField: string;
}

/** The commit that a pipeline runs on, and its branch. */
export interface Base {
    branch: string;
    commit: string;
}

/** https://docs.github.com/en/rest/git https://docs.github.com/en/rest/pulls/pulls */
export function gitHubPulls(repository: string, base: Base): PullRequests {
    const [, , owner = ""] = repository.split("/");
    const git = `${repository}/git`;
    return {
        push: async (api, branch, { path, text }, message) => {
            const { tree: below } = (await ask(api, "GET", `${git}/commits/${base.commit}`)) as {
                tree: { sha: string };
            };
            const file = { path, mode: "100644", type: "blob", content: text };
            const tree = (await ask(api, "POST", `${git}/trees`, { base_tree: below.sha, tree: [file] })) as {
                sha: string;
            };
            const commit = { message, tree: tree.sha, parents: [base.commit] };
            const { sha } = (await ask(api, "POST", `${git}/commits`, commit)) as { sha: string };
            const ref = `refs/heads/${branch}`;
            const refs = (await ask(api, "GET", `${git}/matching-refs/heads/${branch}`)) as { ref: string }[];
            // In one step: GitHub closes a pull request whose branch is its base for a moment.
            if (refs.some((one) => one.ref === ref))
                await ask(api, "PATCH", `${git}/${ref}`, { sha, force: true });
            else await ask(api, "POST", `${git}/refs`, { ref, sha });
        },
        list: (branch) => `${repository}/pulls?state=open&head=${owner}:${branch}&base=${base.branch}`,
        create: `${repository}/pulls`,
        body: (head, body) => ({ head, base: base.branch, body }),
        item: ({ number }) => `${repository}/pulls/${String(number)}`,
        method: "PATCH",
        textField: "body",
    };
}

/** https://docs.gitlab.com/api/commits/ https://docs.gitlab.com/api/merge_requests/ */
export function gitLabPulls(project: string, base: Base): PullRequests {
    return {
        push: async (api, branch, { path, text }, message) => {
            const actions = [{ action: "update", file_path: path, content: text }];
            const from = { branch, start_sha: base.commit, force: true };
            await ask(api, "POST", `${project}/repository/commits`, {
                ...from,
                commit_message: message,
                actions,
            });
        },
        list: (branch) =>
            `${project}/merge_requests?state=opened&source_branch=${branch}&target_branch=${base.branch}`,
        create: `${project}/merge_requests`,
        body: (branch, text) => ({
            source_branch: branch,
            target_branch: base.branch,
            description: text,
            remove_source_branch: true,
        }),
        item: ({ iid }) => `${project}/merge_requests/${String(iid)}`,
        method: "PUT",
        textField: "description",
    };
}
