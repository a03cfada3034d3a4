import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { readUserData, renderUserData, withGeneration } from "../../userdata/render";

describe("user data", () => {
    it("that nothing is added to stays as it is, byte for byte", () => {
        const text = "#cloud-config\n# a comment\npackages:   [nginx]\n";
        expect(renderUserData(text)).toBe(text);
        expect(renderUserData("#!/bin/sh\necho hello\n")).toBe("#!/bin/sh\necho hello\n");
    });

    it("keeps its first line, comments and order when keys are added", () => {
        const rendered = renderUserData("#cloud-config\n# a comment\npackages: [nginx]\n", {
            ssh_keys: { ed25519_private: "a\nb\n" },
        });
        expect(rendered).toBe(
            "#cloud-config\n# a comment\npackages: [ nginx ]\nssh_keys:\n  ed25519_private: |\n    a\n    b\n",
        );
    });

    it("keeps its first line even if that is all there is", () => {
        expect(renderUserData("#cloud-config\n", { timezone: "Etc/UTC" })).toMatch(
            /^#cloud-config\n+timezone: Etc\/UTC\n$/,
        );
    });

    it.each([
        "\n#cloud-config\n",
        " #cloud-config\n",
        "\uFEFF#cloud-config\n",
        "# cloud-config\n",
        "#cloud-configuration\n",
        "packages: [nginx]\n",
        "",
    ])("that starts with %j is refused: cloud-init would ignore it without a word", (text) => {
        expect(() => renderUserData(text)).toThrow('should start with the line "#cloud-config" or with "#!"');
    });

    it("of another generation is another text that starts as before", () => {
        expect(withGeneration("#cloud-config\npackages: []\n", "7")).toBe(
            "#cloud-config\n# generation: 7\npackages: []\n",
        );
        expect(withGeneration("#!/bin/sh\nid\n", "7")).toBe("#!/bin/sh\n# generation: 7\nid\n");
        expect(withGeneration("#!/bin/sh\nid\n", "")).toBe("#!/bin/sh\nid\n");
    });

    it("that is no YAML is refused", () => {
        expect(() => renderUserData("#cloud-config\nruncmd: [\n")).toThrow(
            "should be YAML after its first line",
        );
    });

    it("of 64 KiB is taken, of one byte more refused", () => {
        const fill = (bytes: number) => `#!/bin/sh\n${"#".repeat(bytes - 10)}`;
        expect(renderUserData(fill(65_536))).toHaveLength(65_536);
        expect(() => renderUserData(fill(65_537))).toThrow("at most 65536 bytes (64 KiB), got 65537");
    });

    it("that is a script takes no keys", () => {
        expect(() => renderUserData("#!/bin/sh\n", { ssh_keys: {} })).toThrow(
            "should be cloud-config to set ssh_keys, got a script",
        );
    });

    it.each(["nginx", "haproxy"])("of %s is valid as it stands", (name) => {
        const text = readUserData(name);
        expect(renderUserData(text)).toBe(text);
        expect(parse(text)).toMatchObject({ timezone: "Etc/UTC", ssh_pwauth: false });
        expect(text).toContain("SystemMaxUse=");
    });

    it("of servers and load balancer closes SSH alike", () => {
        const [ofServers, ofLoadBalancer] = ["nginx", "haproxy"].map((name) => {
            const { write_files: files } = parse(readUserData(name)) as { write_files: { path: string }[] };
            return files.find(({ path }) => path.startsWith("/etc/ssh/"));
        });
        expect(ofServers).toBeDefined();
        expect(ofServers).toEqual(ofLoadBalancer);
    });
});
