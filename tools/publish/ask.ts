const markerForm = /^<!-- dropscale (\w+): ([\w./-]+) -->$/;

/** Where a forge's API is, and who asks it. */
export interface Api {
    url: string;
    headers: Record<string, string>;
}

/** What a text is of, by its first line. @throws Error where that is no marker */
export function titleOf(text: string): { marker: string; subject: string; stack: string; title: string } {
    const marker = text.split("\n", 1)[0] ?? "";
    const [, subject = "", stack = ""] = markerForm.exec(marker) ?? [];
    if (stack === "")
        throw new Error(`the text should begin with <!-- dropscale SUBJECT: STACK -->, got ${marker}`);
    return { marker, subject, stack, title: `${subject}: ${stack}` };
}

/** @throws Error with the forge's own words if it refuses, or does not answer within 30 s. */
export async function ask(
    { url, headers }: Api,
    method: string,
    path: string,
    body?: object,
): Promise<unknown> {
    const answer = await fetch(url + path, {
        method,
        headers: { ...headers, ...(body && { "content-type": "application/json" }) },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(30_000),
    }).catch((error: unknown) => {
        const { message, cause } = error as Error & { cause?: Error };
        throw new Error(`${url} does not answer: ${cause?.message ?? message}`, { cause: error });
    });
    if (!answer.ok) throw new Error(`${method} ${url}${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
}
