// YAML as cloud-init reads it: with PyYAML, which differs from YAML 1.2 and from the `yaml` package. What PyYAML can't
// read, cloud-init throws away whole, with no more than a line in its log; so nothing of that is taken here.
// https://github.com/yaml/pyyaml/tree/6.0/lib/yaml (reader, scanner, composer, constructor)
import { CST, isAlias, isMap, isScalar, isSeq, Lexer, LineCounter } from "yaml";
import { type Pair, parseDocument, type ParsedNode, type Scalar } from "yaml";
import { plainValue } from "./yaml-scalars";

/** Keys and indices from the top. */
export type Path = readonly (string | number)[];

/** What a text says. */
export interface Reading {
    /** Plain objects, lists, texts, numbers, true, false, null, and bytes (`!!binary`). Not to be used if there are problems. */
    value: unknown;
    /** Why it can't be read, each with its line. */
    problems: string[];
    /** ` (line 3: its text)`, for the place of a value; empty where it has none. */
    at: (path: Path) => string;
}

interface Fault {
    message: string;
    offset: number;
}

/** Reads one document. */
export function readYaml(source: string): Reading {
    const lines = new LineCounter();
    const document = parseDocument(source, {
        schema: "failsafe",
        keepSourceTokens: true,
        lineCounter: lines,
        logLevel: "silent",
        prettyErrors: false,
    });
    const syntax = document.errors.map(({ code, message, pos }) => ({
        message:
            code === "DUPLICATE_KEY"
                ? "the key is there twice, and of the two values the first is lost; take one out"
                : message,
        offset: pos[0],
    }));
    // One error makes others.
    const unreadable = [forbiddenCharacters(source), forbiddenTokens(source), syntax.slice(0, 1)].find(
        ({ length }) => length > 0,
    );
    const builder = new Builder(source);
    const value = unreadable ? null : builder.build(document.contents, 0, false);
    const line = (offset: number) => {
        const number = lines.linePos(offset).line;
        return ` (line ${number}: ${source.split("\n")[number - 1]?.trim().slice(0, 100) ?? ""})`;
    };
    return {
        value,
        problems: [...(unreadable ?? []), ...builder.faults].map(
            ({ message, offset }) => `${message}${line(offset)}`,
        ),
        at: (path) => {
            const node = document.getIn(path, true) as { range?: number[] } | undefined;
            return path.length === 0 || node?.range?.[0] === undefined ? "" : line(node.range[0]);
        },
    };
}

/** What PyYAML's reader refuses; and what it takes for line ends, while the `yaml` package does not. */
const forbidden =
    /[^\t\n\r\x20-\x7E\xA0-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]|[\u2028\u2029\uFEFF]|\r(?!\n)/gu;

function forbiddenCharacters(source: string): Fault[] {
    return [...source.matchAll(forbidden)].map(({ 0: character, index }) => {
        const code = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0") ?? "";
        return {
            message: `the character U+${code} can't stand in YAML; take it out, or write it as an escape ("\\u${code}") in double quotes`,
            offset: index,
        };
    });
}

const tags = ["!!str", "!!binary"];

/** Why a token can't be read or is not supported here; by its type. */
const tokenFaults: Partial<Record<CST.TokenType, (token: string) => string | undefined>> = {
    "explicit-key-ind": () => "'?' before a key is not supported; write 'key: value'",
    "directive-line": () => "directives are not supported; leave the line out",
    "doc-end": () => "'...' is not supported; leave the line out",
    anchor: (token) =>
        /^&[\w-]+$/.test(token)
            ? undefined
            : `the name of '${token}' should be letters, digits, dashes and underscores`,
    tag: (token) =>
        tags.includes(token)
            ? undefined
            : `the tag '${token}' is unknown to cloud-init, or not supported; leave it out (${tags.join(" and ")} are taken)`,
    // The lexer takes the second half of an escaped quote for the end.
    "single-quoted-scalar": (token) =>
        /^'(?:[^']|'')*'$/.test(token) ? undefined : "the closing ' is missing",
    "double-quoted-scalar": (token) =>
        /^"(?:[^"\\]|\\[^])*"$/.test(token) ? undefined : 'the closing " is missing',
};
const mayHaveTabs: (CST.TokenType | null)[] = ["comment", "single-quoted-scalar", "double-quoted-scalar"];

function forbiddenTokens(source: string): Fault[] {
    const faults: Fault[] = [];
    let offset = 0;
    let block = false;
    let marked = false;
    let begun = false;
    for (const token of new Lexer().lex(source)) {
        if (token === CST.SCALAR) marked = true;
        // These stand for no character of the source.
        if ([CST.SCALAR, CST.DOCUMENT, CST.FLOW_END].includes(token)) continue;
        const type = marked ? "scalar" : CST.tokenType(token);
        if (begun && type === "doc-start")
            faults.push({ message: "a second document is not supported; take it out", offset });
        begun ||= type === null || !["space", "comment", "newline"].includes(type);
        const message = type && tokenFaults[type]?.(token);
        if (message) faults.push({ message, offset });
        if (token.includes("\t") && !(marked ? block : mayHaveTabs.includes(type)))
            faults.push({
                message:
                    "a tab may stand in quotes, in comments and in text after | or > only; put blanks in its place",
                offset: offset + token.indexOf("\t"),
            });
        if (marked) block = marked = false;
        else if (type === "block-scalar-header") block = true;
        offset += token.length;
    }
    return faults;
}

/** Python gives up at some 300. */
const maxDepth = 100;
/** Aliases of aliases can unfold to billions; 64 KiB of text without them can't have more. */
const maxValues = 65_536;
/** PyYAML's bound, from the first character to the colon. */
const maxKeyLength = 1024;

/** Makes values of nodes, as PyYAML's composer and constructor do. */
class Builder {
    readonly faults: Fault[] = [];
    readonly #anchors = new Map<string, ParsedNode>();
    /** Those whose values are not complete: an alias can't stand for what it is part of. */
    readonly #open = new Set<ParsedNode>();
    #values = 0;

    constructor(readonly source: string) {}

    build(node: ParsedNode | null, depth: number, inFlow: boolean): unknown {
        if (node === null) return null;
        if (++this.#values > maxValues)
            return this.#fault(node, `aliases unfold to more than ${maxValues} values`);
        if (depth > maxDepth) return this.#fault(node, `values are nested more than ${maxDepth} deep`);
        if (isAlias(node)) {
            const target = this.#anchors.get(node.source);
            if (target === undefined || this.#open.has(target))
                return this.#fault(node, `'*${node.source}' stands for nothing that is complete before it`);
            return this.build(target, depth + 1, inFlow);
        }
        if (node.anchor !== undefined) {
            const known = this.#anchors.get(node.anchor);
            if (known !== undefined && known !== node)
                this.#fault(node, `there are two '&${node.anchor}'; rename one`);
            this.#anchors.set(node.anchor, node);
        }
        if (isScalar(node)) return this.#scalar(node, inFlow);
        if (node.tag !== undefined) return this.#fault(node, "a list or a map takes no tag; leave it out");
        this.#open.add(node);
        const value = isSeq(node)
            ? node.items.map((item) => this.build(item, depth + 1, inFlow || node.flow === true))
            : isMap(node)
              ? this.#map(node.items, depth + 1, inFlow || node.flow === true)
              : null;
        this.#open.delete(node);
        return value;
    }

    #map(pairs: readonly Pair<ParsedNode, ParsedNode | null>[], depth: number, inFlow: boolean): unknown {
        const own: Record<string, unknown> = {};
        let merged: Record<string, unknown> = {};
        for (const pair of pairs) {
            const isMerge = isScalar(pair.key) && pair.key.type === "PLAIN" && pair.key.value === "<<";
            const name = isMerge ? "" : this.#key(pair, inFlow);
            const value = this.build(pair.value, depth, inFlow);
            if (!isMerge) define(own, name, value);
            else {
                const maps: unknown[] = Array.isArray(value) ? value : [value];
                if (!maps.every(isPlainMap)) this.#fault(pair.key, "'<<' should be a map, or a list of maps");
                // Of two values the first map's counts.
                else for (const map of maps.reverse()) merged = { ...merged, ...map };
            }
        }
        return { ...merged, ...own };
    }

    /** A key that can be read without looking ahead: PyYAML knows it by a colon on the same line. */
    #key({ key, srcToken }: Pair<ParsedNode, ParsedNode | null>, inFlow: boolean): string {
        const separators = srcToken && "sep" in srcToken ? (srcToken.sep ?? []) : [];
        const colon = separators.find(({ type }) => type === "map-value-ind")?.offset;
        const [start, end] = key.range;
        const text = this.source.slice(start, colon ?? end);
        if (!isScalar(key) || key.anchor !== undefined || key.tag !== undefined || text.trim() === "")
            this.#fault(key, "a key should be a text, without anchor or tag");
        else if (text.includes("\n") || text.length > maxKeyLength)
            this.#fault(
                key,
                `a key and its colon should stand on one line, with at most ${maxKeyLength} characters`,
            );
        else return String(this.#scalar(key, inFlow));
        return "";
    }

    #scalar(node: Scalar.Parsed, inFlow: boolean): unknown {
        const text = node.source;
        if (node.type === "QUOTE_DOUBLE") {
            // PyYAML takes the halves of "\ud83d\ude00" for two characters, which nothing can write.
            const escapes =
                this.source.slice(node.range[0], node.range[1]).match(/\\(?:U.{8}|u.{4}|[^])/g) ?? [];
            const bad = escapes.find((escape) => /^\\(?:u|U0000)[dD][89a-fA-F]/.test(escape));
            if (bad) this.#fault(node, `'${bad}' is no character; write the character itself`);
        }
        if (node.type === "PLAIN" && inFlow && /^:|\?/.test(text))
            this.#fault(node, `'${text}' should be in quotes in a list in [] or a map in {}`);
        if (node.tag === "tag:yaml.org,2002:binary") return this.#bytes(node, text);
        if (node.type !== "PLAIN" || node.tag !== undefined) return text;
        try {
            return plainValue(text);
        } catch (error) {
            return this.#fault(node, `'${text}' is ${(error as Error).message}; put it in quotes`);
        }
    }

    #bytes(node: Scalar.Parsed, text: string): unknown {
        const base64 = text.replace(/[ \t\r\n]/g, "");
        return /^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/.test(base64)
            ? new Uint8Array(Buffer.from(base64, "base64"))
            : this.#fault(node, "what follows !!binary should be base64");
    }

    #fault({ range }: ParsedNode, message: string): null {
        this.faults.push({ message, offset: range[0] });
        return null;
    }
}

function isPlainMap(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** As by `{[key]: value}`, for `__proto__`, too. */
function define(map: Record<string, unknown>, key: string, value: unknown): void {
    Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
}
