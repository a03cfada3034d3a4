import { mask } from "./mask";

/**
 * Runs one of the commands of this folder: the end of its file. What is wrong is printed as `error: …`, without a stack
 * trace, and the exit code is 1.
 *
 * @param usage Printed where the options are wrong, after what is wrong with them.
 * @param readOptions Reads the command line; throws Error that says what is allowed.
 * @param main Does the work; resolves with the exit code, or with nothing for 0.
 */
export function runCommand<Options>(
    usage: string,
    readOptions: (args: string[]) => Options,
    main: (options: Options) => Promise<number> | Promise<void>,
): void {
    run(usage, readOptions, main).catch((error: unknown) => {
        console.error(`error: ${mask((error as Error).message)}`);
        process.exitCode = 1;
    });
}

async function run<Options>(
    ...[usage, readOptions, main]: Parameters<typeof runCommand<Options>>
): Promise<void> {
    let options: Options;
    try {
        options = readOptions(process.argv.slice(2));
    } catch (error) {
        throw new Error(`${(error as Error).message}\nallowed: ${usage}`, { cause: error });
    }
    const code = await main(options);
    if (code !== undefined) process.exitCode = code;
}
