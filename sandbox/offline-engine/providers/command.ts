/**
 * Stand-in for pulumi-resource-command 1.2.1, for machines that can't download it: commands on this machine and,
 * over SSH, on others. The engine starts this file as a plugin.
 */
import { randomBytes } from "node:crypto";

import { runLocal } from "./command/local.ts";
import { LOGGING } from "./command/output.ts";
import { runRemote } from "./command/remote.ts";
import { serveProvider } from "./serve.ts";
import type { Call, Property, Resource } from "./resource.ts";
import { text, type Properties, type Value } from "./values.ts";

type Run = (command: string, state: Properties, previous: Properties, call: Call) => Promise<Properties>;

// https://github.com/pulumi/pulumi-command/tree/v1.2.1/provider/pkg/provider
const COMMON: Record<string, Property> = {
    create: { type: "string" },
    update: { type: "string" },
    delete: { type: "string" },
    triggers: { type: "list", forceNew: true },
    stdin: { type: "string" },
    addPreviousOutputInEnv: { type: "boolean" },
    logging: {
        type: "string",
        validate: (value) =>
            LOGGING.includes(text(value))
                ? undefined
                : `expected one of ${LOGGING.join(", ")}, got ${text(value)}`,
    },
};

function command(runGiven: Run, inputs: Record<string, Property>): Resource {
    const run = (script: Value | undefined, ...rest: [Properties, Properties, Call]): Promise<Properties> =>
        typeof script === "string" ? runGiven(script, ...rest) : Promise.resolve({});
    return {
        inputs: { ...COMMON, ...inputs },
        outputs: ["stdout", "stderr"],
        async create(given, call) {
            // A command that failed leaves no trace in state: it runs again next time.
            const outputs = { stdout: "", stderr: "", ...(await run(given.create, given, {}, call)) };
            const id = call.name + randomBytes(4).toString("hex");
            return { id, outputs: () => Promise.resolve(outputs) };
        },
        update: (_id, olds, news, call) => run(news.update ?? news.create, news, olds, call),
        async delete(_id, state, call) {
            await run(state.delete, state, state, call);
        },
        unknownAfterUpdate: ["stdout", "stderr"],
    };
}

serveProvider({
    name: "command",
    version: "1.2.1",
    // Of the framework that the official one is written with.
    configMarks: { "__pulumi-go-provider-version": "1.2.0" },
    configure: () => undefined,
    resources: {
        "command:remote:Command": command(runRemote, {
            connection: {
                type: "map",
                required: true,
                secret: true,
                secretKeys: ["password", "privateKey", "privateKeyPassword"],
            },
        }),
        "command:local:Command": command(runLocal, {
            environment: { type: "map" },
            dir: { type: "string" },
            interpreter: { type: "list", items: "string" },
        }),
    },
    functions: {},
});
