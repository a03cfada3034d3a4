import { describeInterruptions } from "../interruptions.mts";

/**
 * A run ends in the middle, and the next one has another config: it makes haproxy.cfg what that config says before it
 * deletes a droplet, and nobody who visits the site notices. `make soak` has every moment with every next config.
 */
describeInterruptions("a run that ends in the middle, and then another config", [
    { end: "kill", moment: "in the drain", next: "old" },
    { end: "cut", moment: "after the reload", next: "third" },
]);
