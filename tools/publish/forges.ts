import type { Api } from "./ask";
import { gitHubPulls, gitLabPulls, type PullRequests } from "./pulls";

export type Entry = Record<string, unknown> & { id: number };

/** Where comments or issues are, in the API of what hosts the repository. */
export interface Place {
    what: string;
    /** Path and query of the list of those that may be ours; and path to make one. */
    list: string;
    create: string;
    /** Path of one of them, and how it is changed. */
    item: (entry: Entry) => string;
    method: "PATCH" | "PUT";
    textField: string;
    closed?: object;
}

export interface Forge extends Api {
    comment: Place;
    issue: Place;
    pulls: PullRequests;
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
 * https://docs.github.com/en/actions/reference/workflows-and-actions/variables
 */
function gitHub(env: NodeJS.ProcessEnv): Forge {
    const repository = `/repos/${required(env, "GITHUB_REPOSITORY")}`;
    // Of an event pull_request it is refs/pull/NUMBER/merge.
    const [, pull = "0"] = /^refs\/pull\/(\d+)\//.exec(env.GITHUB_REF ?? "") ?? [];
    const common = { method: "PATCH", textField: "body" } as const;
    return {
        url: required(env, "GITHUB_API_URL"),
        headers: {
            authorization: `Bearer ${required(env, "GITHUB_TOKEN")}`,
            accept: "application/vnd.github+json",
        },
        comment: {
            what: "comment",
            list: `${repository}/issues/${pull}/comments?`,
            create: `${repository}/issues/${pull}/comments`,
            item: ({ id }) => `${repository}/issues/comments/${id}`,
            ...common,
        },
        issue: {
            what: "issue",
            list: `${repository}/issues?state=open&`,
            create: `${repository}/issues`,
            item: ({ number }) => `${repository}/issues/${String(number)}`,
            closed: { state: "closed", state_reason: "completed" },
            ...common,
        },
        pulls: gitHubPulls(repository, {
            branch: env.GITHUB_REF_NAME ?? "",
            commit: env.GITHUB_SHA ?? "",
        }),
        isOwn: ({ user, pull_request: pullRequest }) =>
            (user as { type?: string } | null)?.type === "Bot" && pullRequest === undefined,
    };
}

/**
 * https://docs.gitlab.com/api/notes/ https://docs.gitlab.com/api/issues/
 * https://docs.gitlab.com/ci/variables/predefined_variables/
 */
function gitLab(env: NodeJS.ProcessEnv): Forge {
    const project = `/projects/${required(env, "CI_PROJECT_ID")}`;
    const notes = `${project}/merge_requests/${env.CI_MERGE_REQUEST_IID ?? "0"}/notes`;
    return {
        url: required(env, "CI_API_V4_URL"),
        headers: { "private-token": required(env, "GITLAB_TOKEN") },
        comment: {
            what: "comment",
            list: `${notes}?`,
            create: notes,
            item: ({ id }) => `${notes}/${id}`,
            method: "PUT",
            textField: "body",
        },
        issue: {
            what: "issue",
            list: `${project}/issues?state=opened&scope=all&`,
            create: `${project}/issues`,
            item: ({ iid }) => `${project}/issues/${String(iid)}`,
            method: "PUT",
            textField: "description",
            closed: { state_event: "close" },
        },
        pulls: gitLabPulls(project, { branch: env.CI_COMMIT_BRANCH ?? "", commit: env.CI_COMMIT_SHA ?? "" }),
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
