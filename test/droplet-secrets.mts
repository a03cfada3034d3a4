import { inDroplet } from "./faults.mts";
import type { World } from "./world.mts";

/** Where these patterns are found in a droplet. */
export interface Seen {
    /** Files, each after who can read it: `root` or `anybody`. The two that the script makes come first. */
    files: string[];
    /** Files in /var/log, and the journal. */
    logs: string[];
    /** Command lines and environments. */
    processes: string[];
}

/** Of files only those of the last two hours: the droplet's own, not the image's. */
const searchScript = `set -eu
umask 077
cat >/root/.patterns
head -n 1 /root/.patterns | tee /root/.canary >/tmp/.canary
chmod 644 /tmp/.canary
find / /run /dev/shm /tmp /var/lib/cloud -xdev -type f -cmin -120 ! -path /root/.patterns -print0 |
    xargs -0r grep -lsF -f /root/.patterns | sort -u >/root/.found || :
while read -r file; do
    if setpriv --reuid=65534 --regid=65534 --clear-groups test -r "$file"; then who=anybody; else who=root; fi
    case $file in /*/.canary) order=1 ;; *) order=2 ;; esac
    echo "$order files $who $file"
done </root/.found | sort -k 1,1n -k 3,3r | cut -d ' ' -f 2-
grep -rlsF -f /root/.patterns /var/log /run/log | sed 's/^/logs /' || :
if journalctl --quiet --output=export | grep -aF -f /root/.patterns >/dev/null; then echo logs journal; fi
for file in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do
    if grep -aqsF -f /root/.patterns "$file"; then echo "processes $file"; fi
done
rm /root/.patterns /root/.canary /root/.found /tmp/.canary
`;

/** Looks for these patterns, which stand in no command line, in a droplet. */
export async function searchDroplet(world: World, id: number, patterns: string): Promise<Seen> {
    const lines = (await inDroplet(world, id, searchScript, patterns)).split("\n");
    const of = (kind: string) =>
        lines.filter((line) => line.startsWith(`${kind} `)).map((line) => line.slice(kind.length + 1));
    return { files: of("files"), logs: of("logs"), processes: of("processes") };
}
