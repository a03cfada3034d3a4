import * as pulumi from "@pulumi/pulumi";

/**
 * An error that is the user's to fix: the engine shows its message, and no stack trace.
 *
 * Its stack is taken away because the SDK colours stacks even of errors that it shows without one, and on Node 20
 * `util.inspect` takes half a minute over a frame whose file is a `file:` URL in node_modules.
 */
export function refusal(message: string): pulumi.RunError {
    return Object.assign(new pulumi.RunError(message), { stack: undefined });
}
