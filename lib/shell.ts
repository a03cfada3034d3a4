/**
 * A script that makes a key, and prints it; no file stays.
 *
 * @param options Of `ssh-keygen`.
 * @param files What it prints: "$dir/key" is the private key, "$dir/key.pub" the public one.
 */
export const sshKeygen = (options: string, files: string): string =>
    [
        "set -eu",
        "dir=$(mktemp -d)",
        `trap 'rm -rf "$dir"' EXIT`,
        `ssh-keygen -q ${options} -f "$dir/key"`,
        `cat ${files}`,
    ].join("\n");

/** One word of a shell script, whatever stands in it. */
export const shellQuoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
