import { describeInterruptions, ends, moments, nexts } from "../interruptions.mts";

/** Every moment at which a run may end, in both ways, with every next config. */
describeInterruptions(
    "a run that ends in the middle, and then another config: all cases",
    ends.flatMap((end) => moments.flatMap((moment) => nexts.map((next) => ({ end, moment, next })))),
);
