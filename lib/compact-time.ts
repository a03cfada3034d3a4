/** Capital T and Z: no stack's name has them, so that no stack's name can end like a name with such a time. */
const form = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** A time as a part of a name in the account, to the second: `20260102T030405Z`. */
export function compactTime(time: Date): string {
    return time
        .toISOString()
        .replace(/\.\d+Z$/, "Z")
        .replace(/[-:]/g, "");
}

/** Reads {@link compactTime}; `undefined` for what is no time. */
export function readCompactTime(text: string): Date | undefined {
    const time = new Date(form.test(text) ? text.replace(form, "$1-$2-$3T$4:$5:$6Z") : "");
    return Number.isNaN(time.getTime()) ? undefined : time;
}
