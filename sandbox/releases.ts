/** A Debian release that droplets boot. */
export interface Release {
    /** Its name in archives. */
    suite: string;
    /** For people. */
    title: string;
    /** What archives call it now. https://www.debian.org/releases/ */
    alias: string;
}

/** What boots in the sandbox, by the slug of the image. */
export const releases: Readonly<Record<string, Release>> = {
    "debian-12-x64": { suite: "bookworm", title: "Debian 12", alias: "oldstable" },
    "debian-13-x64": { suite: "trixie", title: "Debian 13", alias: "stable" },
};

/** The image that is made before any droplet is asked for; the others when the first droplet asks. */
export const defaultImage = "debian-12-x64";

/** @throws Error for an image that does not boot: the API refuses it before. */
export function releaseOf(slug: string): Release {
    const release = releases[slug];
    if (!release)
        throw new Error(`image ${slug} does not boot; these do: ${Object.keys(releases).join(", ")}`);
    return release;
}
