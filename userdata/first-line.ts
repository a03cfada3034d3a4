const commands = "have runcmd or a script do it";
const oneText = "put all of it into one cloud-config, with write_files and runcmd";

/** What cloud-init takes, too, by how it begins, and is not supported here; and what to use instead. */
const unsupported: readonly [RegExp, string, string][] = [
    [
        /^\uFEFF/,
        "a byte order mark hides the first line from cloud-init",
        "save the file as UTF-8 without it",
    ],
    [
        /^\s+#(?:cloud-config|!)/i,
        "blanks or empty lines before the first line are not supported",
        "remove what stands before it",
    ],
    [
        /^## template: *jinja/i,
        "a Jinja template is not supported",
        "write plain cloud-config, and ask the metadata service as userdata/nginx.yaml does",
    ],
    [/^#include/i, "#include is not supported, since what it fetches can't be checked", commands],
    [/^#cloud-config-archive/i, "a cloud-config archive is not supported", oneText],
    [/^#cloud-config-jsonp/i, "a JSON patch is not supported", oneText],
    [/^#cloud-boothook/i, "a boothook is not supported", "use bootcmd, which runs at every boot, too"],
    [/^#part-handler/i, "a part handler is not supported", commands],
    [
        /^(?:[\w-]+:.*\r?\n)*(?:content-type|mime-version):/i,
        "MIME multi-part is not supported: the program makes it itself",
        oneText,
    ],
];

/**
 * Why user data can't be known by its beginning; `undefined` if it is cloud-config or a script. Cloud-init ignores what
 * it does not know with no more than a line in its log.
 * https://cloudinit.readthedocs.io/en/latest/explanation/format.html
 */
export function firstLineProblem(text: string): string | undefined {
    if (/^#cloud-config(?=\s|$)|^#!/i.test(text)) return undefined;
    const [, what, instead] = unsupported.find(([form]) => form.test(text)) ?? [];
    const should = `user data should start with the line "#cloud-config" or with "#!" in its first bytes`;
    return what === undefined
        ? `${should}, got ${JSON.stringify(text.slice(0, 20))}; make that its first line`
        : `${should}: ${what}; ${instead}`;
}
