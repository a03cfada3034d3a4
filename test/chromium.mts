import { mkdirSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { run } from "../sandbox/host.ts";
import { Browser } from "./browser.mts";

/** A page as a browser shows it. */
export interface Page {
    /** After all redirects. */
    url: string;
    /** The browser's own verdict, in place of the lock: `secure`, `insecure`, `neutral`, … */
    security: string;
    /** Of the connection: `TLS 1.3`. */
    tls: string;
    /** Of the answer: `h2`, `http/1.1`. */
    protocol: string;
    /** What the console says, certificates and mixed content among it. */
    complaints: string[];
    /** PNG. */
    screenshot: Buffer;
}

/**
 * Opens a page in Debian's Chromium. Needs `chromium` and `certutil`.
 *
 * @param address Where every name leads.
 * @param roots Root certificates that it trusts, in PEM.
 */
export async function openInChromium(url: string, address: string, roots: string): Promise<Page> {
    const browser = await Browser.start(
        (home) => trust(home, roots),
        [`--host-resolver-rules=MAP * ${address}`],
    );
    try {
        return await visit(browser, url);
    } finally {
        await browser.close();
    }
}

async function trust(home: string, roots: string): Promise<void> {
    const store = path.join(home, ".pki/nssdb");
    mkdirSync(store, { recursive: true });
    await run("certutil", ["-d", `sql:${store}`, "-N", "--empty-password"]);
    for (const [index, pem] of (roots.match(/-----BEGIN[^]+?END CERTIFICATE-----/g) ?? []).entries()) {
        const file = path.join(home, "root.pem");
        writeFileSync(file, pem);
        await run("certutil", ["-d", `sql:${store}`, "-A", "-t", "C,,", "-n", `root ${index}`, "-i", file]);
    }
}

async function visit(browser: Browser, url: string): Promise<Page> {
    await browser.open(url);
    const secured = () =>
        browser
            .seen("Security.visibleSecurityStateChanged")
            .map(({ visibleSecurityState }) => visibleSecurityState as SecurityState)
            .find(({ certificateSecurityState }) => certificateSecurityState !== undefined);
    await browser.until(`verdict of ${url}`, () => secured() !== undefined);
    const documents = browser.seen("Network.responseReceived").filter(({ type }) => type === "Document");
    const answer = documents.at(-1)?.response as { url: string; protocol: string } | undefined;
    return {
        url: answer?.url ?? "",
        security: secured()?.securityState ?? "",
        tls: secured()?.certificateSecurityState?.protocol ?? "",
        protocol: answer?.protocol ?? "",
        complaints: browser.complaints(),
        screenshot: await browser.screenshot(),
    };
}

interface SecurityState {
    securityState: string;
    certificateSecurityState?: { protocol: string };
}
