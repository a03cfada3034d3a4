/** A number as it is written: what it counts is nobody's business here. */
export class PlainNumber {
    constructor(readonly text: string) {}

    toString(): string {
        return this.text;
    }
}

const number = (text: string): PlainNumber => new PlainNumber(text);

function refuse(what: string): () => never {
    return () => {
        throw new Error(what);
    };
}

/** What PyYAML makes of text without quotes, in its order. https://github.com/yaml/pyyaml/blob/6.0/lib/yaml/resolver.py */
const implicit: readonly [RegExp, (text: string) => unknown][] = [
    [/^(yes|Yes|YES|true|True|TRUE|on|On|ON)$/, () => true],
    [/^(no|No|NO|false|False|FALSE|off|Off|OFF)$/, () => false],
    [/^([-+]?\d[\d_]*\.[\d_]*([eE][-+]\d+)?|\.\d[\d_]*([eE][-+]\d+)?)$/, number],
    [/^([-+]?\d[\d_]*(:[0-5]?\d)+\.[\d_]*|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$/, number],
    [/^[-+]?0[bx]_+$/, refuse("a number without digits")],
    // https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
    [/^[-+]?\d[\d_]{4000,}$/, refuse("a number of more than 4,000 digits")],
    [/^[-+]?(0b[01_]+|0[0-7_]+|0|[1-9][\d_]*|0x[\da-fA-F_]+|[1-9][\d_]*(:[0-5]?\d)+)$/, number],
    [/^(~|null|Null|NULL|)$/, () => null],
    // PyYAML takes those that are in the calendar; cloud-init has no use for them.
    [/^\d{4}-\d\d?-\d\d?([Tt \t].*)?$/, refuse("a date")],
    [/^(<<|=)$/, refuse("a sign that YAML has its own meaning for")],
];

/**
 * The value of text without quotes.
 *
 * @throws Error that says what the text is, where that can't be read or is not supported.
 */
export function plainValue(text: string): unknown {
    const [, make] = implicit.find(([form]) => form.test(text)) ?? [];
    return make ? make(text) : text;
}
