import * as pulumi from "@pulumi/pulumi";
import { tokenAdvice } from "./token-scopes";

/**
 * What leads out of an error of the provider that does not say it: a droplet, an alert or a check of the site that is in
 * the state and gone from the account can't be changed or deleted.
 *
 * @returns `undefined` for any other error.
 */
export function goneAdvice(message: string): string | undefined {
    const alert = /\b(PUT|DELETE) \S+\/v2\/(monitoring\/alerts|uptime\/checks)\/\S+: 404\b/;
    const [, id] = /to be unlocked for destroy \((\d+)\): unexpected state 'Not Found'/.exec(message) ?? [];
    if (id === undefined && !alert.test(message)) return undefined;
    const gone = id === undefined ? "an alert or uptime check" : `droplet ${id}`;
    return `${gone} is gone from the account already: \`pulumi up --refresh\` takes it out of the state, and goes on`;
}

/**
 * What leads out of a refusal of an alert's e-mail address.
 *
 * @returns `undefined` for any other error.
 */
export function emailAdvice(message: string): string | undefined {
    if (!/\b(POST|PUT) \S+\/v2\/(monitoring|uptime)\/\S+: 4\d\d\b.*e-?mail/is.test(message)) return undefined;
    return (
        "DigitalOcean tells only addresses that a member of the account's team has verified: set `alerts.email` to one " +
        "of them (pulumi config set --path alerts.email you@example.com), or use `alerts.slack`"
    );
}

const adviceOn = (error: string) => tokenAdvice(error) ?? goneAdvice(error) ?? emailAdvice(error);

/**
 * Makes an `up` say, once for each, what a refused token lacks, and what to do about what is gone or an address that is
 * refused: the provider's own error repeats the API's words, which don't. `destroy` does not run the program, and can't say it.
 */
export function explainErrors(): void {
    const said = new Set<string>();
    const hook = new pulumi.ErrorHook("advice", ({ errors }) => {
        for (const advice of errors.map(adviceOn)) {
            if (advice === undefined || said.has(advice)) continue;
            said.add(advice);
            void pulumi.log.error(advice);
        }
        return false;
    });
    pulumi.runtime.registerStackTransformation(({ type, props, opts }) =>
        type.startsWith("digitalocean:")
            ? { props, opts: pulumi.mergeOptions(opts, { hooks: { onError: [hook] } }) }
            : undefined,
    );
}
