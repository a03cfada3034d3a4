import { markGeneration } from "../../components/haproxy/render.ts";
import type { Stage } from "./stage.mts";

/** Where the texts lie on the load balancer. */
const folder = "/run/bench-reloads";

/** Moves each text into place, reloads, and waits until a worker that has it serves; half a second each, or longer. */
const script = `set -eu
generation() {
    echo '@1 show info' | timeout 2 socat -t 2 - UNIX-CONNECT:/run/haproxy-master.sock 2>/dev/null |
        sed -n 's/^[Dd]escription: gen=//p'
}
for text in ${folder}/*.cfg; do
    sleep 0.5 & pause=$!
    wanted=$(sed -n 's/^    description gen=//p' $text)
    mv $text /etc/haproxy/haproxy.cfg
    systemctl reload haproxy
    tries=0
    until [ "$(generation)" = "$wanted" ]; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || { echo "generation $wanted is not loaded" >&2; exit 1; }
        sleep 0.05
    done
    wait $pause
done
rmdir ${folder}
# Old workers go when their last request has ended.
while echo 'show proc' | timeout 2 socat -t 2 - UNIX-CONNECT:/run/haproxy-master.sock |
    awk '/^# old workers/ { old = 1; next } /^# programs/ { old = 0 } old && $2 == "worker" { found = 1 } END { exit !found }'
do sleep 0.5; done
`;

/**
 * Ten reloads of ten different texts in five seconds, by hand: what several people and a broken pipeline could do
 * together. The last one is the text that ran before.
 */
export async function reloadTenTimes(stage: Stage): Promise<void> {
    const running = await stage.onLoadBalancer("cat /etc/haproxy/haproxy.cfg");
    const unmarked = running.replace(/^ {4}description gen=.*\n/m, "");
    const texts = Array.from({ length: 9 }, (_, index) =>
        markGeneration(unmarked.replace(/^ {4}maxconn \d+$/m, `    maxconn ${8001 + index}`)),
    );
    await stage.onLoadBalancer(`mkdir -p ${folder}`);
    // One by one: a command line has 128 KiB.
    for (const [index, text] of [...texts, running].entries()) {
        const encoded = Buffer.from(text).toString("base64");
        await stage.onLoadBalancer(`base64 -d >${folder}/${index}.cfg <<<${encoded}`);
    }
    await stage.onLoadBalancer(script);
}
