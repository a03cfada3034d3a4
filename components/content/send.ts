import { packCommand, type Release } from "../../lib/release";
import { shellQuoted } from "../../lib/shell";
import { haproxyScript } from "../haproxy/apply";
import { oneWord } from "../host-script";

/** Where to send what. */
export interface SendOptions {
    /** Stands in the text, so that it runs on a new load balancer and a preview shows it. */
    loadBalancerId: string;
    /** The load balancer's own address. */
    host: string;
    /** One line of type, key and comment: any other host is refused. */
    hostKey: string;
    release: Pick<Release, "folder" | "name" | "bytes" | "files">;
}

/**
 * A script for bash under ssh-agent, on the machine that runs `pulumi`, with the deploy key as its stdin: sends a release to
 * the load balancer, unless it has it, and prints its word. Nothing is sent where there is no room for it there; servers are
 * the push's to look at. The key is in no file and on no command line.
 */
export function sendScript({ loadBalancerId, host, hostKey, release }: SendOptions): string {
    const { folder, name, bytes, files } = release;
    const key = hostKey.split(" ", 2).map(oneKeyWord).join(" ");
    const script = haproxyScript.path;
    return `# load balancer ${oneWord(loadBalancerId)}
set -euo pipefail
ssh-add -q - 2>/dev/null
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo 'load-balancer ${key}' >"$dir/known_hosts"
cd ${shellQuoted(folder)}
there() {
    ssh -F none -T -o BatchMode=yes -o IdentityFile=none -o ConnectTimeout=10 -o ConnectionAttempts=5 \
        -o ServerAliveInterval=5 -o ServerAliveCountMax=6 -o StrictHostKeyChecking=yes -o HostKeyAlias=load-balancer \
        -o UserKnownHostsFile="$dir/known_hosts" -o GlobalKnownHostsFile=/dev/null -o LogLevel=ERROR \
        root@${oneWord(host)} ${script} "$@"
}
# On a line of its own: in a condition, a refusal would end nothing.
answer=$(there room ${name} ${kibOf(bytes)} ${files} </dev/null)
if [[ $answer == have ]]; then
    there take ${name} </dev/null
else
    { ${packCommand}; } | there take ${name}
fi
`;
}

/** For `check` and `room` of the script. */
export const kibOf = (bytes: number): number => Math.ceil(bytes / 1024);

function oneKeyWord(text: string): string {
    if (!/^[\w+/=@.-]+$/.test(text)) throw new Error("the load balancer's host key should be type and key");
    return text;
}
