import { expect, it } from "vitest";
import { guide } from "../../domain.ts";
import { instance } from "../../instance.ts";

const where = instance({ name: "unit", index: 7, stateDir: "/state", kind: "nspawn" });

it("says how to reach the names of a domain from this machine, without a change to its DNS", () => {
    const text = guide(where, "example.com", [
        ["example.com", "198.18.7.128"],
        ["www.example.com", "198.18.7.129"],
    ]);
    expect(text).toContain(
        "curl --cacert /state/trust/roots.pem --resolve www.example.com:443:198.18.7.129 " +
            "--resolve www.example.com:80:198.18.7.129 https://www.example.com\n",
    );
    expect(text).toContain('"MAP example.com 198.18.7.128, MAP www.example.com 198.18.7.129"');
    expect(text).toContain("dig @198.19.7.254 example.com\n");
});

it("says that a domain without an address can't be reached yet", () => {
    const text = guide(where, "example.com", []);
    expect(text).toContain("No A record yet");
    expect(text).not.toMatch(/curl|chromium|undefined/);
});
