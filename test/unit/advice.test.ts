import { describe, expect, it } from "vitest";
import { goneAdvice } from "../../account/advice";

describe("what the provider says of a droplet that it can't delete", () => {
    it("gets a way out where the droplet is gone, and only there", () => {
        const gone =
            "1 error occurred:\n\t* Error waiting for droplet to be unlocked for destroy (10002): unexpected state " +
            "'Not Found', wanted target 'false'. last error: %!s(<nil>)\n";
        expect(goneAdvice(gone)).toMatch(
            /^droplet 10002 is gone from the account already: `pulumi up --refresh`/,
        );
        for (const other of [
            "Error waiting for droplet to be unlocked for destroy (10002): context deadline exceeded",
            "Error deleting droplet: DELETE https://api/v2/droplets/10002: 404",
        ])
            expect(goneAdvice(other)).toBeUndefined();
    });
});
