import * as pulumi from "@pulumi/pulumi";
import { tokenAdvice } from "./token-scopes";

/**
 * What leads out of an error of the provider that does not say it: a droplet that is in the state and gone from the
 * account can't be deleted.
 *
 * @returns `undefined` for any other error.
 */
export function goneAdvice(message: string): string | undefined {
    const id = /to be unlocked for destroy \((\d+)\): unexpected state 'Not Found'/.exec(message)?.[1];
    return (
        id &&
        `droplet ${id} is gone from the account already: \`pulumi up --refresh\` takes it out of the state, and goes on`
    );
}

/**
 * Makes an `up` say, once for each, what a refused token lacks and what to do about a droplet that is gone: the
 * provider's own error repeats the API's words, which name neither. `destroy` does not run the program, and can't say it.
 */
export function explainErrors(): void {
    const said = new Set<string>();
    const hook = new pulumi.ErrorHook("advice", ({ errors }) => {
        for (const advice of errors.map((error) => tokenAdvice(error) ?? goneAdvice(error))) {
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
