import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import fc from "fast-check";
import { joinUserData, splitUserData } from "../../userdata/multipart";
import {
    readUserData,
    renderBackendUserData,
    renderLoadBalancerUserData,
    renderUserData,
} from "../../userdata/render";

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

    it("gets further items in a list that it has", () => {
        const rendered = renderUserData("#cloud-config\nwrite_files:\n  - path: /a # mine\n", {
            write_files: [{ path: "/b" }],
        });
        expect(rendered).toBe("#cloud-config\nwrite_files:\n  - path: /a # mine\n  - path: /b\n");
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

describe("user data of a backend", () => {
    const setupKey = `ssh-ed25519 ${"A".repeat(68)} dropscale-dev-setup`;

    it("is the program's part and the text, which stays as it is where it is plain", () => {
        const text = readUserData("nginx");
        const sent = renderBackendUserData({ text, generation: "" }, setupKey);
        expect(sent).toMatch(
            /^MIME-Version: 1\.0\nContent-Type: multipart\/mixed; boundary="=dropscale="\n\n/,
        );
        expect(sent.endsWith(`\nContent-Transfer-Encoding: 7bit\n\n${text}\n--=dropscale=--\n`)).toBe(true);
        expect(sent).toContain(`"/bin/sh /var/lib/dropscale/set-up" ssh-ed25519 ${"A".repeat(68)}' >`);
    });

    it("of another generation is another one, in which the text is the same", () => {
        const [one, other] = ["", "2026-11"].map((generation) =>
            joinUserData({ text: "#!/bin/sh\n", generation }, setupKey),
        );
        expect(other).toBe(one?.replace("\n\n", "\nGeneration: 2026-11\n\n"));
    });

    it("tells its parts again, whatever they hold", () => {
        const piece = fc.oneof(
            fc.string({ unit: "binary" }),
            fc.constantFrom(
                "\r\n",
                "\n",
                " \n",
                "\t",
                "--=dropscale=--\n",
                "=3D",
                "ü",
                "😀",
                "# generation: 7\n",
            ),
            fc.constantFrom(
                "MIME-Version: 1.0\n",
                "\nContent-Transfer-Encoding: 7bit\n\n",
                "Generation: 8\n",
            ),
        );
        const text = fc.array(piece).map((pieces) => `#!/bin/sh\n${pieces.join("")}`);
        fc.assert(
            fc.property(text, fc.stringMatching(/^[\w.-]{0,9}$/), (own, generation) => {
                const parts = { text: Buffer.from(own).toString(), generation };
                fc.pre(!parts.text.startsWith("#!/bin/sh\n# generation: "));
                expect(splitUserData(joinUserData(parts, setupKey))).toEqual(parts);
            }),
        );
    });

    it.each([
        ["#!/bin/sh\n# generation: 7\nid\n", { text: "#!/bin/sh\nid\n", generation: "7" }],
        ["#cloud-config\npackages: []\n", { text: "#cloud-config\npackages: []\n", generation: "" }],
        [
            "#cloud-config\n#\n# generation: 7\n",
            { text: "#cloud-config\n#\n# generation: 7\n", generation: "" },
        ],
    ])("that an earlier version made, %j, is told, too", (sent, parts) => {
        expect(splitUserData(sent)).toEqual(parts);
    });

    it("may have 64 KiB as it is sent: with the generation, and with the quotes of what is not ASCII", () => {
        const size = (text: string, generation = "") =>
            Buffer.byteLength(joinUserData({ text, generation }, setupKey));
        const fill = (bytes: number) => `#!/bin/sh\n${"#".repeat(bytes - 10)}`;
        const room = 65_536 - size("") - "\n".length + 1;
        expect(renderBackendUserData({ text: fill(room), generation: "" })).toHaveLength(65_536);
        expect(() => renderBackendUserData({ text: fill(room + 1), generation: "" })).toThrow(
            `at most 65536 bytes (64 KiB), got 65537 as it is sent: ${room + 1} of its own, ${65_536 - room} that the program adds`,
        );
        expect(() => renderBackendUserData({ text: fill(room), generation: "7" })).toThrow(
            `got ${65_536 + "Generation: 7\n".length} as it is sent`,
        );
        const text = `#!/bin/sh\n# ${"ü".repeat(20_000)}\n`;
        expect(() => renderBackendUserData({ text, generation: "" })).toThrow(
            /got 12\d{4} as it is sent: 40013 of/,
        );
    });

    it("is checked at the size that it will have", () => {
        const parts = { text: "#!/bin/sh\n", generation: "" };
        expect(renderBackendUserData(parts)).toHaveLength(renderBackendUserData(parts, setupKey).length);
    });
});

describe("user data of the load balancer", () => {
    it("has room for its keys", () => {
        const fill = (bytes: number) => `#cloud-config\n${"#".repeat(bytes - 15)}\n`;
        expect(() => renderLoadBalancerUserData(fill(63_000))).not.toThrow();
        expect(() => renderLoadBalancerUserData(fill(65_000))).toThrow(
            /at most 65536 .* that the program adds$/,
        );
    });
});
