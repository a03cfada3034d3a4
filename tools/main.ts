/**
 * The commands: `npx tsx tools/main.ts COMMAND`, or `npm run dropscale -- COMMAND`; `make` has short forms of most.
 * A command's own code is loaded when it runs, so that each of them starts fast.
 */
import { isIPv4 } from "node:net";
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { mask } from "./cli/mask";

const program = new Command("npm run dropscale --")
    .description("Commands for a stack of this program")
    // A wrong option is repeated, and may be a secret that stands in the wrong place.
    .configureOutput({ writeErr: (text) => process.stderr.write(mask(text)) })
    .showHelpAfterError();

/** @param load Loads what does the work: that resolves with the exit code, or with nothing for 0. */
const running =
    <Args extends unknown[]>(load: () => Promise<(...args: Args) => Promise<number> | Promise<void>>) =>
    async (...args: Args): Promise<void> => {
        const main = await load();
        process.exitCode = (await main(...args)) ?? 0;
    };

function wholeNumber(min: number, max: number): (text: string) => number {
    return (text) => {
        if (/^\d{1,5}$/.test(text) && Number(text) >= min && Number(text) <= max) return Number(text);
        throw new InvalidArgumentError(`It should be a whole number from ${min} to ${max}.`);
    };
}

/** A file, a name or an address: who forgot it has the next option here. */
function word(text: string): string {
    if (!/^-./.test(text)) return text;
    throw new InvalidArgumentError("It should not begin with a dash.");
}

function ipv4(text: string): string {
    if (isIPv4(text)) return text;
    throw new InvalidArgumentError("It should be an IPv4 address.");
}

const onStack = (name: string) => program.command(name).argument("[stack]", "its name", "dev");

const withReports = (command: Command) =>
    command
        .option("--markdown <file>", "write it as a comment or an issue; - is stdout", word)
        .option("--json <file>", "write it for programs; - is stdout", word)
        .option("--quiet", "print no text for people");

const metricsPort = () =>
    new Option("--metrics-port <port>", "serve metrics for Prometheus on this port of 127.0.0.1")
        .argParser(wholeNumber(1, 65_535))
        .conflicts("once");

const withPulumiOutput = (command: Command) =>
    command.option("--quiet", "show pulumi's output only where it fails");

withReports(onStack("plan"))
    .description("What `pulumi up` would do: servers, cost, risk, policy. Changes nothing.")
    .option("--refresh", "ask the account what is there now, before anything is compared")
    .addHelpText("after", "\nExit code 0: it can be applied. 1: it is refused, or the plan failed.")
    .action(running(async () => (await import("./plan/plan.ts")).plan));

onStack("top")
    .description(
        "The pool as HAProxy sees it, live; without a terminal, a line for each change. Ends with q.",
    )
    .action(running(async () => (await import("./top/top.ts")).top));

onStack("dashboard")
    .description(
        "The pool over time, as a page for a browser on this machine. Changes nothing. Ends with Ctrl-C.",
    )
    .option("--port <number>", "of 127.0.0.1; 0 is any that is free", wholeNumber(0, 65_535), 8414)
    .option("--quiet", "print where the page is, and nothing else")
    .action(running(async () => (await import("./dashboard/dashboard.ts")).dashboard));

onStack("status")
    .description("The servers as DigitalOcean and HAProxy see them. Changes nothing.")
    .action(running(async () => (await import("./status/status.ts")).status));

onStack("history")
    .description("Who changed the stack, when, why, and how that ended. Changes nothing.")
    .option("--limit <number>", "most changes to show, the newest first", wholeNumber(1, 9999), 20)
    .option("--json <file>", "write it for programs; - is stdout", word)
    .action(running(async () => (await import("./history/history.ts")).history));

withReports(onStack("drift"))
    .description("What is not as Pulumi made it, and how to fix it. Changes nothing.")
    .addHelpText("after", "\nExit code 0: no drift. 2: drift. 1: not everything could be checked.")
    .action(running(async () => (await import("./drift/drift.ts")).drift));

onStack("doctor")
    .description("Clears what a killed run left, and deletes what is orphaned and serves nobody.")
    .option("--stack <name>", "the same as the argument", word)
    .option("--yes", "don't ask")
    .option("--killed", "no run of the stack is alive: its lock goes, and what is not an hour old")
    .option("--serving", "delete what serves as well")
    .option("--quiet", "print only errors, and what stays")
    .addOption(
        new Option("--clear-left <which>", "delete what failed runs left, without a question").choices([
            "marked",
            "all",
        ]),
    )
    .addHelpText(
        "after",
        "\nExit code 0: in order, or only what waits for a person or its first hour. 1: refused, failed, or not agreed to." +
            "\n2: something stays that serves, or may; the last lines say what to do.",
    )
    .action(
        running(async () => {
            const { doctor } = await import("./doctor/doctor.ts");
            type Options = Parameters<typeof doctor>[1] & { stack?: string };
            return (argument: string, { stack = argument, ...options }: Options) => doctor(stack, options);
        }),
    );

withPulumiOutput(program.command("rollout"))
    .description(
        "Replaces the servers of a stack in batches. The change stands in the stack's config already.",
    )
    .option("--stack <name>", "its name (default: the one that is selected)", word)
    .option("--batch <number>", "most servers to replace at a time", wholeNumber(1, 9999), 1)
    .option("--pause", "ask before each step but the first")
    .action(running(async () => (await import("./rollout/rollout.ts")).rollout));

program
    .command("push")
    .argument("[folder]", "what every server is to serve, such as dist", word)
    .description("Brings a folder to every server of a stack, a few at a time, without losing a request.")
    .option("--stack <name>", "its name (default: the one that is selected)", word)
    .option("--rollback [release]", "in place of a folder: the release before, or the one of this name", word)
    .addHelpText(
        "after",
        "\nExit code 0: every server serves it. 1: refused or stopped; the last lines say which server serves what.",
    )
    .action(running(async () => (await import("./push/push.ts")).push));

withPulumiOutput(program.command("autoscale"))
    .description("Watches the pool of a stack, and scales it as `autoscale` in its config says.")
    .option("--stack <name>", "its name", word, "dev")
    .addOption(
        new Option(
            "--apply <how>",
            "make the changes: `up` runs pulumi here, `commit` pushes them to the pipeline (default: only say what would be done)",
        ).choices(["up", "commit"]),
    )
    .addOption(metricsPort())
    .option("--once", "look for 10 s, decide, act, and end: for a timer")
    .addHelpText(
        "after",
        "\nExit code with --once: 0, or 2 where something is wrong that a person should know.",
    )
    .action(running(async () => (await import("./autoscale/autoscale.ts")).autoscale));

program
    .command("install-autoscaler")
    .description("Writes systemd units that run the autoscaler of a stack from this checkout, as this user.")
    .requiredOption("--stack <name>", "its name", word)
    .addOption(
        new Option("--apply <how>", "as of `autoscale`; without it, a dry run").choices(["up", "commit"]),
    )
    .addOption(metricsPort().conflicts("timer"))
    .option("--timer", "look once a minute, in place of a service that always runs")
    .option("--print", "print the units, and write nothing")
    .action(running(async () => (await import("./autoscale/systemd/install.ts")).install));

program
    .command("bake")
    .description("Makes an image with the user data's packages on it, so that new servers are there sooner.")
    .option("--userdata <name>", "a file in userdata/, without its ending (default: the config's)", word)
    .option("--stack <name>", "whose region, base image and account", word, "dev")
    .option(
        "--image <slug>",
        "what it is baked on (default: the config's, or what that one was baked on)",
        word,
    )
    .option("--size <slug>", "of the droplet that is set up (default: the smallest)", word)
    .option("--minutes <number>", "how long the set-up may take", wholeNumber(1, 240), 20)
    .option("--renew", "only if the stack's image is a baked one: for a pipeline, once a month")
    .option("--write", "write the number into the stack's config, in place of printing the command")
    .option("--markdown <file>", "write the text of a pull request", word)
    .addHelpText("after", "\nExit code 0: there is a new image. 1: there is none. 130: interrupted.")
    .action(running(async () => (await import("./bake/bake.ts")).bake));

withPulumiOutput(program.command("deploy").argument("<stack>", "its name"))
    .description(
        "What a pipeline runs after a merge: the doctor, the plan with its limits, then `pulumi up`.",
    )
    .option("--refresh", "fix what was changed behind Pulumi's back, too")
    .option("--wait-minutes <number>", "how long to wait for another run", wholeNumber(0, 9999), 30)
    .action(running(async () => (await import("./deploy/deploy.ts")).deploy));

program
    .command("admit")
    .argument("<stack>", "its name")
    .description("Lets this machine reach SSH on the load balancer, for one run of `pulumi up`.")
    .option("--address <ipv4>", "the address to admit (default: what the address service answers)", ipv4)
    .option(
        "--address-url <url>",
        "answers with the address it was asked from (default: DROPSCALE_ADDRESS_URL, or https://ifconfig.me/ip)",
        word,
    )
    .option("--minutes <number>", "how long it holds if nobody removes it", wholeNumber(1, 9999), 120)
    .addOption(
        new Option("--remove", "take away the admission that DROPSCALE_ADMISSION names").conflicts("sweep"),
    )
    .option("--sweep", "only delete what is past its time")
    .action(running(async () => (await import("./admit/admit.ts")).admit));

program
    .command("publish")
    .addArgument(new Argument("<what>", "where to").choices(["comment", "issue", "pull-request"]))
    .argument("<file>", "what `plan`, `drift` or `bake` wrote; one text for each stack, edited in place")
    .description("Puts a report on the pull request whose pipeline this runs in, or into an issue.")
    .option("--close", "the issue has been dealt with: close it, and open none")
    .option("--change <file>", "of a pull request: the file of the repository that it changes", word)
    .action(running(async () => (await import("./publish/publish.ts")).publishFile));

// Without a stack trace.
program.parseAsync().catch((error: unknown) => {
    console.error(`error: ${mask((error as Error).message)}`);
    process.exitCode = 1;
});
