/** A strict form of cron: what it accepts, every cron takes, and takes the same way. */

interface Field {
    name: string;
    min: number;
    max: number;
    /** Of the numbers from `min` on. */
    names: readonly string[];
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** https://man7.org/linux/man-pages/man5/crontab.5.html */
const fields: readonly Field[] = [
    { name: "minute", min: 0, max: 59, names: [] },
    { name: "hour", min: 0, max: 23, names: [] },
    { name: "day of the month", min: 1, max: 31, names: [] },
    { name: "month", min: 1, max: 12, names: months },
    { name: "day of the week", min: 0, max: 7, names: days },
];

/** Most days of each month. */
const longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** What is wrong with a cron expression of five fields; `undefined`: nothing. */
export function cronProblem(expression: string): string | undefined {
    const parts = expression.split(" ");
    if (parts.length !== fields.length || parts.includes(""))
        return `five fields with one space between (minute, hour, day of the month, month, day of the week)`;
    const values = fields.map((field, i) => valuesOf(parts[i] ?? "", field));
    const wrong = fields.find((_, i) => values[i] === undefined);
    if (wrong) {
        const names = wrong.names.length > 0 ? ` or ${wrong.names[0] ?? ""}-${wrong.names.at(-1) ?? ""}` : "";
        return `its ${wrong.name} ${wrong.min}-${wrong.max}${names}, *, a range 1-5 with the smaller number first, a list 1,3 or a step */2`;
    }
    const [, , dates = [], inMonths = []] = values;
    const comes = inMonths.some((month) => dates.some((date) => date <= (longest[month - 1] ?? 0)));
    // With a day of the week, either of the two is enough.
    return comes || parts[4] !== "*" ? undefined : "a day that comes: its months have none of these days";
}

/** The numbers that a field stands for; `undefined` where it is wrong. */
function valuesOf(text: string, field: Field): number[] | undefined {
    const lists = text.split(",").map((item) => itemValues(item, field));
    return lists.includes(undefined) ? undefined : lists.flatMap((list) => list ?? []);
}

function itemValues(item: string, field: Field): number[] | undefined {
    const [, all, from = "", to, step] = /^(?:(\*)|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/.exec(item) ?? [];
    const [first, last] = all ? [field.min, field.max] : [valueOf(from, field), valueOf(to ?? from, field)];
    if (first === undefined || last === undefined || first > last) return undefined;
    if (step === undefined) return range(first, last, 1);
    // `5/10` is one number to some, and a start to others.
    const isRange = all !== undefined || to !== undefined;
    const isStep = isRange && Number(step) >= 1 && Number(step) <= last - first;
    return isStep ? range(first, last, Number(step)) : undefined;
}

function valueOf(text: string, { min, max, names }: Field): number | undefined {
    const named = names.indexOf(text.toLowerCase());
    const value = named >= 0 ? named + min : /^\d{1,2}$/.test(text) ? Number(text) : NaN;
    return value >= min && value <= max ? value : undefined;
}

const range = (first: number, last: number, step: number): number[] =>
    Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => first + i * step);
