/** Where the server tells pages what is new; both know it. */
export const streamPath = "/stream";
