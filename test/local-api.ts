import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, vi } from "vitest";

/** For the suite in which it is called: this stands where DigitalOcean's API is asked for, in each of its tests. */
export function localApi(answer: RequestListener): void {
    let server: Server;
    beforeEach(async () => {
        server = createServer(answer);
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        vi.stubEnv("DIGITALOCEAN_API_URL", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
        vi.stubEnv("DIGITALOCEAN_TOKEN", "secret");
    });
    afterEach(() => {
        vi.unstubAllEnvs();
        server.closeAllConnections();
        server.close();
    });
}
