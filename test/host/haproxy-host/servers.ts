/** Servers behind a {@link Host}: one sshd of the image that droplets boot, on all of the host's loopback addresses. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { shellQuoted } from "../../../lib/shell";
import type { Host } from "./host";

/** How the load balancer reaches them, less strict than it is. */
export const sshFrom =
    "/usr/bin/ssh -F none -i /run/setup-key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR";

/** A stand-in: /run/system has the state, and /run/units says whether units have failed. */
const systemctl = `#!/bin/sh
case $1 in
is-system-running) cat /run/system 2>/dev/null || echo running ;;
is-failed) [ -e /run/units ] ;;
esac
`;

const start = `set -e
mkdir -p /run/layer /run/server /run/bin
mount -t tmpfs tmpfs /run/layer
mkdir /run/layer/upper /run/layer/work
mount -t overlay -o "lowerdir=$1,upperdir=/run/layer/upper,workdir=/run/layer/work" overlay /run/server
mount --rbind /dev /run/server/dev
mount -t proc proc /run/server/proc
mkdir -p /run/server/run/sshd /run/server/var/lib/cloud/instance
cat >/run/server/boothook && chmod 755 /run/server/boothook
printf %s "$2" >/run/server/usr/local/bin/systemctl && chmod 755 /run/server/usr/local/bin/systemctl
cat >/run/bin/ssh <<'END'
#!/bin/bash
exec /usr/bin/ssh "\${@/#\\/etc\\/dropscale\\/setup-key//run/setup-key}"
END
chmod 755 /run/bin/ssh
chroot /run/server /boothook
chroot /run/server ssh-keygen -A >/dev/null
chroot /run/server /usr/sbin/sshd -o PermitRootLogin=no -o MaxStartups=300`;

/**
 * @param image Root of the image.
 * @param render User data for this public key; of it the first part runs.
 */
export async function startServers(
    host: Host,
    image: string,
    render: (publicKey: string) => string,
): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "setup-key-"));
    const key = join(folder, "key");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key]);
    const boothook = /boothook\n\n(.*?)\n--=dropscale=\n/s.exec(
        render(readFileSync(`${key}.pub`, "utf8")),
    )?.[1];
    const secret = readFileSync(key, "utf8");
    rmSync(folder, { recursive: true });
    await host.run("cat >/run/setup-key && chmod 600 /run/setup-key", secret);
    const { code, stderr } = await host.run(
        `set -- '${image}' ${shellQuoted(systemctl)}\n${start}`,
        boothook,
    );
    if (code !== 0) throw new Error(`the servers did not start: ${stderr}`);
}
