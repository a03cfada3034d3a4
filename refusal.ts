import * as pulumi from "@pulumi/pulumi";
import { tokenAdvice } from "./account/token-scopes";

/**
 * An error that is the user's to mend: the engine shows its message, and no stack trace.
 *
 * Its stack is taken away because the SDK colours stacks even of errors that it shows without one, and on Node 20
 * `util.inspect` takes half a minute over a frame whose file is a `file:` URL in node_modules.
 */
export function refusal(message: string): pulumi.RunError {
    return Object.assign(new pulumi.RunError(message), { stack: undefined });
}

/**
 * Makes an `up` say, once for each scope, what a refused token lacks: the provider's own error repeats the API's words,
 * which name no scope. `destroy` does not run the program, and can't say it.
 */
export function explainTokenErrors(): void {
    const said = new Set<string>();
    const hook = new pulumi.ErrorHook("token-advice", ({ errors }) => {
        for (const advice of errors.map(tokenAdvice)) {
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
