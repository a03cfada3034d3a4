import { createHash } from "node:crypto";
import {
    closeSync,
    type Dirent,
    openSync,
    readdirSync,
    readlinkSync,
    readSync,
    realpathSync,
    statSync,
} from "node:fs";
import * as path from "node:path";
import { Mistakes } from "./config-rules";

/** A folder that servers are to serve, as one looks at it before anything is sent. */
export interface Release {
    /** As it was given. */
    folder: string;
    /** 16 hexadecimal digits: see {@link nameOf}. */
    name: string;
    /** Of regular files. */
    files: number;
    /** Of their contents. */
    bytes: number;
    /** What is in it, for who looks at a preview: see {@link describeParts}. */
    parts: Record<string, string>;
}

/** A file or a link. */
interface Entry {
    /** Below the folder. */
    path: string;
    /** Of a file. */
    sha256?: string;
    /** Of a file; of a link 0. */
    bytes: number;
    /** Of a link, and of a file that is executable: what else of it the release's name depends on. */
    attribute?: string;
    /** For a preview. */
    what: string;
}

interface Found {
    entries: Entry[];
    problems: string[];
}

/** One of these is the page of `/`. */
const indexPages = ["index.html", "index.htm", "index.php"];

/** With them a site would publish its own history. */
const histories = [".git", ".hg", ".svn"];

/** The load balancer names releases so, and makes folders of these names. */
export const releaseForm = /^[0-9a-f]{16}$/;

/** What lists files line by line, and sha256sum, would write otherwise than it is. U+FFFD stands for what is no UTF-8. */
const unlistable = /[\p{Cc}\\\uFFFD]/u;

/** So many problems are listed. */
const mostProblems = 10;

/**
 * Looks through a folder, reading every file.
 *
 * @param folder Relative to the current folder, or absolute.
 * @throws Mistakes with all that is wrong: no folder, nothing in it, no index page, what can't be read, links that lead
 * out of it, names that can't be listed line by line.
 */
export function readRelease(folder: string): Release {
    const found: Found = { entries: [], problems: [] };
    look(realFolder(folder), "", found);
    const { problems } = found;
    const entries = found.entries.sort((a, b) => compareBytes(a.path, b.path));
    const files = entries.filter(({ sha256 }) => sha256 !== undefined);
    if (files.length === 0 && problems.length === 0)
        throw new Mistakes([`the content folder ${folder} is empty; is the site built?`]);
    const top = entries.map((entry) => entry.path);
    if (!indexPages.some((page) => top.includes(page)) && files.length > 0)
        problems.push(`there is no ${indexPages.join(", ")} in it: / would answer with an error`);
    if (problems.length > 0) {
        const more = problems.length - mostProblems;
        throw new Mistakes([
            ...problems.slice(0, mostProblems).map((problem) => `the content folder ${folder}: ${problem}`),
            ...(more > 0 ? [`the content folder ${folder}: and ${more} more`] : []),
        ]);
    }
    const parts = describeParts(entries);
    return { folder, name: nameOf(entries), files: files.length, bytes: bytesOf(files), parts };
}

function realFolder(folder: string): string {
    try {
        const root = realpathSync(folder);
        if (statSync(root).isDirectory()) return root;
    } catch (error) {
        throw new Mistakes([`the content folder ${folder} can't be read: ${reason(error)}`]);
    }
    throw new Mistakes([`the content folder ${folder} is no folder`]);
}

/** @param below Path of a folder in the root; empty for the root itself. */
function look(root: string, below: string, found: Found): void {
    let entries: Dirent[];
    try {
        entries = readdirSync(path.join(root, below), { withFileTypes: true });
    } catch (error) {
        found.problems.push(`${shown(below)} can't be read: ${reason(error)}`);
        return;
    }
    for (const entry of entries) {
        const inside = below === "" ? entry.name : `${below}/${entry.name}`;
        if (unlistable.test(entry.name))
            found.problems.push(
                `${shown(inside)} has a control character, a backslash or no UTF-8 in its name`,
            );
        else if (histories.includes(entry.name))
            found.problems.push(
                `it holds ${shown(inside)}, which would be published; give the folder that is built`,
            );
        else if (entry.isDirectory()) look(root, inside, found);
        else if (entry.isSymbolicLink()) lookAtLink(root, inside, found);
        else if (entry.isFile()) lookAtFile(root, inside, found);
        else found.problems.push(`${shown(inside)} is neither a file nor a folder`);
    }
}

function lookAtFile(root: string, inside: string, { entries, problems }: Found): void {
    try {
        const file = path.join(root, inside);
        const { sha256, bytes } = digest(file);
        const isExecutable = (statSync(file).mode & 0o111) !== 0;
        entries.push({
            ...{ path: inside, sha256, bytes },
            ...(isExecutable && { attribute: `x ${inside}` }),
            what: `${bytes} bytes, ${sha256.slice(0, 12)}${isExecutable ? ", executable" : ""}`,
        });
    } catch (error) {
        problems.push(`${shown(inside)} can't be read: ${reason(error)}`);
    }
}

function lookAtLink(root: string, inside: string, { entries, problems }: Found): void {
    const file = path.join(root, inside);
    const target = readlinkSync(file);
    const leadsTo = (why: string) =>
        problems.push(`the link ${shown(inside)} leads to ${shown(target)}, ${why}`);
    if (unlistable.test(target)) leadsTo("a name with a control character or a backslash");
    else if (path.isAbsolute(target)) leadsTo("which is another place on a server; make it a relative link");
    else
        try {
            const attribute = `l ${inside} -> ${target}`;
            if (!staysIn(root, path.dirname(file), target)) leadsTo("out of the folder");
            else entries.push({ path: inside, bytes: 0, attribute, what: `a link to ${target}` });
        } catch (error) {
            leadsTo(reason(error));
        }
}

/** At every step: a way that leaves the folder by its name and comes back ends nowhere on a server, which gives it another name. */
function staysIn(root: string, from: string, target: string): boolean {
    let at = from;
    return target.split("/").every((step) => {
        at = realpathSync(path.join(at, step));
        return `${at}/`.startsWith(`${root}/`);
    });
}

/** In pieces: a file may be larger than memory. */
function digest(file: string): { sha256: string; bytes: number } {
    const hash = createHash("sha256");
    const buffer = Buffer.alloc(1 << 20);
    const descriptor = openSync(file, "r");
    try {
        let bytes = 0;
        for (let read = 1; read > 0; bytes += read) {
            read = readSync(descriptor, buffer, 0, buffer.length, null);
            hash.update(buffer.subarray(0, read));
        }
        return { sha256: hash.digest("hex"), bytes };
    } finally {
        closeSync(descriptor);
    }
}

/**
 * The name of a release says what is in it: names, contents, which files are executable, where links lead. Not times,
 * owners, other modes and empty folders, which differ between checkouts. `name_of` in userdata/setup/name-of.sh computes it
 * the same way, on the load balancer and on the servers.
 */
function nameOf(entries: readonly Entry[]): string {
    const contents = entries.flatMap(({ path, sha256 }) => (sha256 ? [`${sha256}  ./${path}`] : []));
    const attributes = entries.flatMap(({ attribute }) => attribute ?? []).sort(compareBytes);
    return digestOf([...contents, ...attributes]).slice(0, 16);
}

const digestOf = (lines: readonly string[]): string =>
    createHash("sha256")
        .update(lines.map((line) => `${line}\n`).join(""))
        .digest("hex");

/** As `LC_ALL=C sort`. */
const compareBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

const bytesOf = (entries: readonly Entry[]): number => entries.reduce((sum, { bytes }) => sum + bytes, 0);

/** With more entries than this, a preview shows folders. */
const mostParts = 100;

/**
 * What a preview shows, so that a change of one file is a line: each file by size and hash; of a large release, what is in
 * its uppermost folders; of one with many of those, the sum.
 */
function describeParts(entries: readonly Entry[]): Record<string, string> {
    const folderOf = (file: string) => (file.includes("/") ? `${file.split("/", 1)[0] ?? ""}/` : file);
    const ways = [(file: string) => file, folderOf, () => "all"];
    const grouped = ways.map((labelOf) => groupBy(entries, labelOf));
    const groups = grouped.find(({ size }) => size <= mostParts) ?? new Map<string, Entry[]>();
    return Object.fromEntries([...groups].map(([label, group]) => [label, describeGroup(label, group)]));
}

function groupBy(entries: readonly Entry[], labelOf: (file: string) => string): Map<string, Entry[]> {
    const groups = new Map<string, Entry[]>();
    for (const entry of entries) {
        const label = labelOf(entry.path);
        const group = groups.get(label) ?? [];
        groups.set(label, group);
        group.push(entry);
    }
    return groups;
}

function describeGroup(label: string, group: readonly Entry[]): string {
    const [first] = group;
    if (group.length === 1 && first?.path === label) return first.what;
    const digest = digestOf(group.map(({ path, what }) => `${path} ${what}`));
    return `${group.length} files, ${bytesOf(group)} bytes, ${digest.slice(0, 12)}`;
}

/**
 * Writes what is in the current folder to stdout, as a compressed tar. GNU's and BSD's tar both take it. Links and files
 * alone: empty folders are no part of a release.
 */
export const packCommand = "find . ! -type d -print0 | COPYFILE_DISABLE=1 tar -cf - --null -T - | gzip -c -3";

/** A name for a message: what can't be printed is escaped. */
const shown = (name: string): string => (/^[ -~]+$/.test(name) ? name : JSON.stringify(name));

function reason(error: unknown): string {
    const { code, message } = error as NodeJS.ErrnoException;
    const known: Record<string, string> = {
        ENOENT: "no such file or folder",
        EACCES: "permission denied",
        ELOOP: "a circle of links",
        ENOTDIR: "no such file or folder",
    };
    return known[code ?? ""] ?? message;
}
