import fc from "fast-check";

const deep = (open: string, close: string, levels: number) => open.repeat(levels) + close.repeat(levels);

/** What cloud-init throws away whole, with a part of what we say; the fault is in line 2. */
export const unreadable: readonly [string, string][] = [
    ["runcmd:\t[id]", "a tab may stand"],
    ["runcmd: [id]\t# comment", "a tab may stand"],
    ["a: b\tc", "a tab may stand"],
    ["a: |\t", "a tab may stand"],
    ["# \u0080", "U+0080"],
    ["a: 'b\u0007'", "U+0007"],
    ["a: \u0000", "U+0000"],
    ["a: \ud800", "U+D800"],
    ["a: b\u2028 c: d", "U+2028"],
    ["a: b\r c: d", "U+000D"],
    ["a: !vault b", "'!vault'"],
    ["a: !!python/object:os.system b", "'!!python/object:os.system'"],
    ["a: !!int b", "'!!int'"],
    ["a: !!binary é", "base64"],
    ["a: !!binary abc", "base64"],
    ["a: !!str [b]", "takes no tag"],
    ["a: =", "'=' is a sign"],
    ["a: <<", "'<<' is a sign"],
    ["a: 2026-02-30", "'2026-02-30' is a date"],
    ["a: 2026-13-01 10:00:00", "is a date"],
    ["a: 0x_", "'0x_' is a number without digits"],
    [`a: ${"1".repeat(5000)}`, "more than 4,000 digits"],
    ["a: '\\", "closing '"],
    ["a: 'b''", "closing '"],
    ['a: "b\\"', 'closing "'],
    ['a: "\\ud83d\\ude00"', "'\\ud83d' is no character"],
    ['a: "\\U00110000"', "escape"],
    ['a: "\\U0000d800"', "is no character"],
    ['a: "\\q"', "escape"],
    ["a: [http://b/?c=d]", "in quotes"],
    ["a: [:b]", "in quotes"],
    ["a: &b c, d: &b e, f: *b", "compact"],
    ["{a: &b 1, c: &b 2}", "two '&b'"],
    ["a: *b", "'*b' stands for nothing"],
    ["a: &ä b", "the name of '&ä'"],
    ["<<: a", "'<<' should be a map"],
    ["{[a]: b}", "a key should be"],
    ["{{a: b}: c}", "a key should be"],
    ['{"a"\n: b}', "on one line"],
    [`"${"a".repeat(1100)}": b`, "1024"],
    [`a: ${deep("[", "]", 400)}`, "deep"],
    ["a: b\n---\na: c", ""],
    ["a: b\n---", ""],
    ["a: @b", "reserved"],
    ["a: %b", "directive"],
    ["a: `b`", "reserved"],
    ["--- a: b", ""],
    ["a: - b", ""],
    ["a: b: c", ""],
];

/** What cloud-init takes, and so do we. */
export const readable: readonly string[] = [
    "a: !!binary |\n  aGVs\n  bG8=",
    "a: !!str 0644",
    'a: "\\u00e9 \\x41 \\\\ud83d \\U0001F600\\t"',
    "a: 'tab\tin quotes' # and in\ta comment",
    "a: |\n  a\ttab",
    "a: \u00a0 é 😀",
    "a: {b: 1, 'c':2, \"d\": [e,\n  f]}",
    "a: &x {b: 1}\nc: {<<: *x, d: 2}\ne: {<<: [*x, {f: 1}]}",
    "---\na: b",
    "a: plain text\n  on two lines",
    "'<<': a\n\"=\": b",
    "a: 08\nb: 1e3\nc: 1.5e3\nd: 0:30\ne: y",
    "a:\r\n- b\r\n- c\r",
];

const odd =
    "\t \u0085 \u2028 \u00a0 \ufeff \u0080 \u0007 é \ud800 \r @ % ` \\ \" ' | > & * ! ? : , [ ] { } # - = ~ \ud83d\ude00".split(
        " ",
    );
const words = [
    ...["a", "b", "1"],
    ..."ab c|yes|no|null|0644|08|0x|0b_|1:30|0:30|1_0|1.5|1e3|1.5e3|.5|.inf|.nan|2026-11-01|2026-13-45".split(
        "|",
    ),
    ..."&x |&y |*x|*y|!!str |!!int |!!binary |!vault |QQ==|<<|<<: |---|--- |...|%YAML 1.1|''|\\n|\\x41".split(
        "|",
    ),
    ...["- ", "? ", "a: ", "b: ", ": ", ", ", " #", "# c", "|\n", "|2\n", "|-\n", "|+\n", ">\n"],
    ...["\n", "\n", "\n", " ", "  ", "\r\n", "\n  ", "\n    ", "\n- ", "\n  - ", "\nb: ", "\nc:"],
];
const piece = fc.oneof(fc.constantFrom(...odd), { arbitrary: fc.constantFrom(...words), weight: 3 });
const soup = fc.array(piece, { minLength: 1, maxLength: 9 }).map((pieces) => pieces.join(""));

/** A node's text, for its indentation. */
type Block = (indent: string) => string;
const leaves = [
    ..."a;'q';\"d\\n\";1;yes;~;;[a, b];{a: 1, 'b': c};[];&x v;*x;<<;!!str 1;!!binary aGk=;a # c;a:b;0644".split(
        ";",
    ),
    ...[
        "|\n@  text\n@  more",
        ">-\n@  fold\n@  ed",
        "x y\n@  z",
        '"m\n@  n"',
        "[a,\n@ b]",
        "{a: b,\n@ c: d}",
    ],
];
const { block } = fc.letrec<{ block: Block }>((tie) => ({
    block: fc.oneof(
        { maxDepth: 3, depthSize: "small" },
        fc.constantFrom(...leaves).map(
            (text): Block =>
                (indent) =>
                    ` ${text.replaceAll("@", indent)}`,
        ),
        fc.array(tie("block"), { minLength: 1, maxLength: 3 }).map(
            (items): Block =>
                (indent) =>
                    items.map((item) => `\n${indent}-${item(`${indent}  `)}`).join(""),
        ),
        fc
            .array(fc.tuple(fc.constantFrom("a", "b", "'c'", '"d"', "<<", "1", "x y"), tie("block")), {
                minLength: 1,
                maxLength: 3,
            })
            .map(
                (pairs): Block =>
                    (indent) =>
                        pairs.map(([key, value]) => `\n${indent}${key}:${value(`${indent}  `)}`).join(""),
            ),
    ),
}));
/** YAML in the forms that people write, with up to two slips. */
const written = fc
    .tuple(
        fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 3 }),
        fc.array(block, { minLength: 3, maxLength: 3 }),
        fc.array(fc.tuple(fc.nat(200), fc.nat(2), piece), { maxLength: 2 }),
    )
    .map(([keys, blocks, slips]) => {
        const text = keys.map((key, i) => `${key}:${blocks[i]?.("  ") ?? ""}\n`).join("");
        return slips.reduce((slipped, [at, cut, put]) => {
            const place = at % (slipped.length + 1);
            return slipped.slice(0, place) + put + slipped.slice(place + cut);
        }, text);
    });

/** Texts that are YAML, or nearly; `numRuns` of each of three kinds. */
export function yamlTexts(numRuns: number, seed: number): string[] {
    const kinds = [soup, soup.map((text) => `a: ${text}\n`), written];
    return [...new Set(kinds.flatMap((kind) => fc.sample(kind, { numRuns, seed })))];
}
