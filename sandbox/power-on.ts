import type { RunningSandbox } from "./process.ts";

/**
 * Switches on every droplet that is off. After a reboot of this machine all of them are, and `pulumi up` sees no
 * difference: whether a droplet is on is no input of its resource.
 *
 * @returns Their names. They are on, and answer, a few seconds later.
 * @throws Error if the API refuses.
 */
export async function powerOnDroplets({ url, token }: RunningSandbox): Promise<string[]> {
    const call = async (path: string, init: RequestInit = {}): Promise<unknown> => {
        const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
        const answer = await fetch(`${url}/v2/${path}`, { ...init, headers });
        if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
        return answer.json();
    };
    const { droplets } = (await call("droplets?per_page=200")) as {
        droplets: { id: number; name: string; status: string }[];
    };
    const off = droplets.filter(({ status }) => status === "off");
    const body = JSON.stringify({ type: "power_on" });
    await Promise.all(off.map(({ id }) => call(`droplets/${id}/actions`, { method: "POST", body })));
    return off.map(({ name }) => name);
}
