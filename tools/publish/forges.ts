import { type Api, ask } from "./ask";

export type Entry = Record<string, unknown> & { id: number };

/** Where comments, issues or pull requests are, in the API of what hosts the repository. */
export interface Place {
    /** Path and query of the list of those that may be ours; and path to make one. */
    list: string;
    create: string;
    /** Path of one of them. */
    item: (entry: Entry) => string;
    textField: string;
    /** What a new one has beside its title and text. */
    more?: object;
    /** What closes one. */
    closed?: object;
}

/** A file of the repository, as it is to be. */
export interface FileChange {
    /** Its path there. */
    path: string;
    text: string;
}

export interface Forge extends Api {
    /** How something that is there is changed. */
    method: "PATCH" | "PUT";
    comment: Place;
    issue: Place;
    /** Pull requests from a branch into the one that this runs on. */
    pullRequest: (branch: string) => Place;
    /** Puts a branch onto the commit that this runs on, with the change behind it: what came since is merged with it. */
    push: (branch: string, change: FileChange, message: string) => Promise<unknown>;
    /** Whether a pipeline wrote it: a stranger's text with our marker in it is not to be edited by us. */
    isOwn: (entry: Entry) => boolean;
}

/**
 * The forge whose pipeline this runs in, as its environment says.
 *
 * @throws Error where there is none, or something is missing in the environment.
 */
export function forgeOf(env: NodeJS.ProcessEnv): Forge {
    if (env.GITHUB_ACTIONS === "true") return gitHub(env);
    if (env.GITLAB_CI === "true") return gitLab(env);
    throw new Error("this is neither GitHub Actions (GITHUB_ACTIONS=true) nor GitLab CI (GITLAB_CI=true)");
}

/**
 * https://docs.github.com/en/rest/issues/comments https://docs.github.com/en/rest/issues/issues
 * https://docs.github.com/en/rest/git https://docs.github.com/en/rest/pulls/pulls
 * https://docs.github.com/en/actions/reference/workflows-and-actions/variables
 */
function gitHub(env: NodeJS.ProcessEnv): Forge {
    const repository = `/repos/${required(env, "GITHUB_REPOSITORY")}`;
    const [, , owner = ""] = repository.split("/");
    const [base, commit] = [env.GITHUB_REF_NAME ?? "", env.GITHUB_SHA ?? ""];
    // Of an event pull_request it is refs/pull/NUMBER/merge.
    const [, pull = "0"] = /^refs\/pull\/(\d+)\//.exec(env.GITHUB_REF ?? "") ?? [];
    const api = {
        url: required(env, "GITHUB_API_URL"),
        headers: {
            authorization: `Bearer ${required(env, "GITHUB_TOKEN")}`,
            accept: "application/vnd.github+json",
        },
    };
    const git = async (method: string, path: string, body?: object) =>
        (await ask(api, method, `${repository}/git/${path}`, body)) as { sha: string };
    return {
        ...api,
        method: "PATCH",
        comment: {
            list: `${repository}/issues/${pull}/comments?`,
            create: `${repository}/issues/${pull}/comments`,
            item: ({ id }) => `${repository}/issues/comments/${id}`,
            textField: "body",
        },
        issue: {
            list: `${repository}/issues?state=open&`,
            create: `${repository}/issues`,
            item: ({ number }) => `${repository}/issues/${String(number)}`,
            textField: "body",
            closed: { state: "closed", state_reason: "completed" },
        },
        pullRequest: (branch) => ({
            list: `${repository}/pulls?state=open&head=${owner}:${branch}&base=${base}`,
            create: `${repository}/pulls`,
            item: ({ number }) => `${repository}/pulls/${String(number)}`,
            textField: "body",
            more: { head: branch, base },
        }),
        push: async (branch, { path, text }, message) => {
            const below = (await ask(api, "GET", `${repository}/git/commits/${commit}`)) as {
                tree: { sha: string };
            };
            const file = { path, mode: "100644", type: "blob", content: text };
            const tree = await git("POST", "trees", { base_tree: below.tree.sha, tree: [file] });
            const { sha } = await git("POST", "commits", { message, tree: tree.sha, parents: [commit] });
            const ref = `refs/heads/${branch}`;
            const refs = (await ask(api, "GET", `${repository}/git/matching-refs/heads/${branch}`)) as {
                ref: string;
            }[];
            // In one step: GitHub closes a pull request whose branch is its base for a moment.
            return refs.some((one) => one.ref === ref)
                ? git("PATCH", ref, { sha, force: true })
                : git("POST", "refs", { ref, sha });
        },
        isOwn: ({ user, pull_request: pullRequest }) =>
            (user as { type?: string } | null)?.type === "Bot" && pullRequest === undefined,
    };
}

/**
 * https://docs.gitlab.com/api/notes/ https://docs.gitlab.com/api/issues/
 * https://docs.gitlab.com/api/commits/ https://docs.gitlab.com/api/merge_requests/
 * https://docs.gitlab.com/ci/variables/predefined_variables/
 */
function gitLab(env: NodeJS.ProcessEnv): Forge {
    const project = `/projects/${required(env, "CI_PROJECT_ID")}`;
    const base = env.CI_COMMIT_BRANCH ?? "";
    const notes = `${project}/merge_requests/${env.CI_MERGE_REQUEST_IID ?? "0"}/notes`;
    const api = {
        url: required(env, "CI_API_V4_URL"),
        headers: { "private-token": required(env, "GITLAB_TOKEN") },
    };
    return {
        ...api,
        method: "PUT",
        comment: {
            list: `${notes}?`,
            create: notes,
            item: ({ id }) => `${notes}/${id}`,
            textField: "body",
        },
        issue: {
            list: `${project}/issues?state=opened&scope=all&`,
            create: `${project}/issues`,
            item: ({ iid }) => `${project}/issues/${String(iid)}`,
            textField: "description",
            closed: { state_event: "close" },
        },
        pullRequest: (branch) => ({
            list: `${project}/merge_requests?state=opened&source_branch=${branch}&target_branch=${base}`,
            create: `${project}/merge_requests`,
            item: ({ iid }) => `${project}/merge_requests/${String(iid)}`,
            textField: "description",
            more: { source_branch: branch, target_branch: base, remove_source_branch: true },
        }),
        push: (branch, { path, text }, message) =>
            ask(api, "POST", `${project}/repository/commits`, {
                branch,
                start_sha: env.CI_COMMIT_SHA ?? "",
                force: true,
                commit_message: message,
                actions: [{ action: "update", file_path: path, content: text }],
            }),
        // A project's access token is a user of its own, whose name begins so.
        // https://docs.gitlab.com/user/project/settings/project_access_tokens/#bot-users-for-projects
        isOwn: ({ author }) =>
            /^project_\d+_bot/.test((author as { username?: string } | null)?.username ?? ""),
    };
}

function required(env: NodeJS.ProcessEnv, name: string): string {
    const value = env[name];
    if (!value)
        throw new Error(`there is no ${name} in the environment: see docs/pipeline.md for what is needed`);
    return value;
}
