/**
 * How long a droplet's creation may take; an hour where nothing is said. DigitalOcean needs about a minute: one that
 * is still `new` after this won't come soon, and the rest of the change should not wait for it.
 * https://www.pulumi.com/docs/iac/concepts/options/customtimeouts/
 */
export const dropletTimeouts = { create: "15m" };
