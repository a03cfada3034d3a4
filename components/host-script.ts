import { createHash } from "node:crypto";

/** A script of ours on the load balancer. */
export interface HostScript {
    /** Its text, to be the stdin of {@link HostScript.install}. */
    text: string;
    /** Its path there. By its content: what one version of the program has installed, another one neither runs nor overwrites. */
    path: string;
    /**
     * The command that installs the script that is its stdin, whole or not at all.
     *
     * @param loadBalancerId Stands in the text, so that it runs on a new load balancer and a preview shows it.
     */
    install: (loadBalancerId: string) => string;
}

/** @param name First part of its name there. */
export function hostScript(name: string, text: string): HostScript {
    const path = `/usr/local/lib/dropscale/${name}-${createHash("sha256").update(text).digest("hex").slice(0, 12)}`;
    const file = `${path}.$$`;
    return {
        text,
        path,
        install: (loadBalancerId) =>
            `mkdir -p ${path.replace(/\/[^/]*$/, "")} && cat >${file} && chmod 755 ${file} && mv ${file} ${path} ` +
            `# load balancer ${oneWord(loadBalancerId)}`,
    };
}

/** @throws Error for a text that would not be one word of a shell script. */
export function oneWord(text: string): string {
    if (!/^[\w.:-]+$/.test(text))
        throw new Error(`a droplet's id or a staged text's should be one word, got ${text}`);
    return text;
}
