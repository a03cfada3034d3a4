// Dials every one of the targets again and again, in the network namespace that it is started in, and tells over Node's
// IPC of each that opened for the first time; told to end, it says how often it dialled.
// node prober.mjs SOURCE INTERVAL_MS ADDRESS:PORT…   (SOURCE: one of the machine's addresses, or empty)
// JavaScript, because it has to start without a loader.
import net from "node:net";
import process from "node:process";
import { setInterval } from "node:timers";

const [source, intervalMs, ...targets] = process.argv.slice(2);
/** The kernel asks a silent host once more after a second: what opens by then counts, too. */
const patienceMs = 1500;
const open = new Set();
let dials = 0;

function dial(target) {
    const [host, port] = target.split(":");
    const socket = net.connect({ host, port: Number(port), localAddress: source || undefined });
    socket.setTimeout(patienceMs, () => socket.destroy());
    socket.on("error", () => undefined); // refused, unreachable: not open
    socket.once("connect", () => {
        socket.destroy();
        if (open.has(target)) return;
        open.add(target);
        process.send({ open: target });
    });
    dials++;
}

setInterval(() => targets.forEach(dial), Number(intervalMs));
process.once("message", () => process.send({ dials }, () => process.exit()));
process.once("disconnect", () => process.exit());
