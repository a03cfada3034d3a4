import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import fc from "fast-check";
import { joinUserData, splitUserData } from "../../userdata/multipart";
import { renderBackendUserData, renderLoadBalancerUserData, renderUserData } from "../../userdata/render";
import { backendFiles, readUserData } from "../../userdata/files";

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

    it.each([
        ["#cloud-config", ""],
        ["#cloud-config # of the shop", "\n"],
        ["#cloud-config \t", "\r\npackages: [nginx]\r\n"],
        ["#Cloud-Config", "\npackages: [nginx]"],
    ])("that starts with %j is taken, as cloud-init does", (line, rest) => {
        expect(renderUserData(line + rest)).toBe(line + rest);
        const { keys, own } = splitAdded(renderUserData(line + rest, { ssh_keys: {} }));
        expect([keys, own.startsWith("#")]).toEqual(["ssh_keys: {}", true]);
    });

    it.each([
        [
            "\uFEFF#cloud-config\n",
            "a byte order mark hides the first line from cloud-init; save the file as UTF-8 without it",
        ],
        [
            "\n#cloud-config\n",
            "blanks or empty lines before the first line are not supported; remove what stands before it",
        ],
        [
            "## template: jinja\n#cloud-config\n",
            "a Jinja template is not supported; write plain cloud-config",
        ],
        ["#include\nhttp://a\n", "#include is not supported"],
        ["#include-once\nhttp://a\n", "have runcmd or a script do it"],
        ["#cloud-config-archive\n- a\n", "put all of it into one cloud-config"],
        ["#cloud-config-jsonp\n[]\n", "a JSON patch is not supported"],
        ["#cloud-boothook\nid\n", "use bootcmd"],
        ["#part-handler\n", "a part handler is not supported"],
        [
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\n\n",
            "MIME multi-part is not supported",
        ],
        ["From: a\nContent-Type: multipart/mixed; boundary=a\n", "MIME multi-part is not supported"],
        ["#cloud-configuration\n", 'got "#cloud-configuration'],
    ])("that starts with %j is refused with what to use instead", (text, message) => {
        expect(() => renderUserData(text)).toThrow(message);
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

    it("takes keys only where its own stay what they are", () => {
        const keys = { write_files: [{ path: "/b" }] };
        const lost = "can be added; write them without aliases";
        expect(() => renderUserData("#cloud-config\na: &f [{path: /a}]\nwrite_files: *f\n", keys)).toThrow(
            lost,
        );
        expect(() => renderUserData("#cloud-config\n<<: {write_files: [{path: /a}]}\n", keys)).toThrow(lost);
        expect(() => renderUserData("#cloud-config\nx: 12e03\n", keys)).toThrow("odd numbers in quotes");
        expect(renderUserData("#cloud-config\r\n# a\r\nwrite_files:\r\n- path: /a\r\n", keys)).toContain(
            "path: /b",
        );
    });

    it("with the name of a mail header near its beginning has to be ASCII: cloud-init takes it for a message", () => {
        expect(() => renderUserData("#cloud-config\n# mime-version: é\n")).toThrow("'MIME-Version:'");
        expect(renderUserData("#cloud-config\n# mime-version: e\n")).toContain("mime");
        expect(renderUserData(`#cloud-config\n#${"é".repeat(5000)}\n# MIME-Version:\n`)).toContain("MIME");
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

/** The line that was added at the end, and what stands before it. */
function splitAdded(text: string): { own: string; keys: string | undefined } {
    const lines = text.trimEnd().split("\n");
    return { keys: lines.pop(), own: lines.join("\n") };
}

describe("files of user data", () => {
    const folder = (files: Record<string, string | Buffer>) => {
        const made = mkdtempSync(path.join(tmpdir(), "dropscale-userdata-"));
        for (const [name, content] of Object.entries(files)) writeFileSync(path.join(made, name), content);
        onTestFinished(() => {
            rmSync(made, { recursive: true });
        });
        return made;
    };

    it("may end in .yaml, .yml or .sh; two of one name are told", () => {
        const made = folder({
            "a.yaml": "a",
            "b.yml": "b",
            "c.sh": "c",
            "d.yaml": "",
            "d.yml": "",
            "haproxy.yml": "",
            "e.txt": "",
        });
        expect(backendFiles(made)).toEqual(["a", "b", "c", "d"]);
        expect(["a", "b", "c"].map((name) => readUserData(name, made))).toEqual(["a", "b", "c"]);
        expect(() => readUserData("d", made)).toThrow(
            "one file of the name d, got d.yaml, d.yml; rename the others",
        );
        expect(() => readUserData("e", made)).toThrow("userdata/ has no e.yaml, e.yml or e.sh");
    });

    it.each([
        [
            "Latin-1",
            Buffer.from("#cloud-config\n# \uFFFD é\n# ", "utf8"),
            Buffer.from("caf\xe9\n", "latin1"),
            "got the byte 0xe9 at offset 28 (line 3)",
        ],
        [
            "UTF-16",
            Buffer.from([0xff, 0xfe]),
            Buffer.from("#", "utf16le"),
            "got the byte 0xff at offset 0 (line 1); save the file as UTF-8",
        ],
        ["gzip", Buffer.from([0x1f]), Buffer.from([0x8b, 8]), "it is compressed"],
        [
            "half a character",
            Buffer.from("#!/bin/sh\n"),
            Buffer.from([0xe2, 0x82]),
            "got the byte 0xe2 at offset 10 (line 2)",
        ],
    ])("in %s are refused with the byte's place", (_, start, rest, message) => {
        const made = folder({ "a.sh": Buffer.concat([start, rest]) });
        expect(() => readUserData("a", made)).toThrow(message);
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
        expect(sent).toContain(`"/bin/sh /var/lib/dropscale/answer" ssh-ed25519 ${"A".repeat(68)}' >`);
    });

    it("of another generation is another one, in which the text is the same", () => {
        const [one, other] = ["", "2026-11"].map((generation) =>
            joinUserData({ text: "#!/bin/sh\n", generation }, setupKey),
        );
        expect(other).toBe(one?.replace("\n\n", "\nGeneration: 2026-11\n\n"));
    });

    it("tells its parts again, whatever they hold", { timeout: 30_000 }, () => {
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
        const sent = (generation: string) =>
            renderLoadBalancerUserData({ text: "#cloud-config\npackages: [haproxy]\n", generation });
        expect(sent("2026-11").replace(/\s*# generation: 2026-11\s*$/, "\n")).toBe(sent(""));
        expect(sent("2026-11")).not.toBe(sent("2026-12"));
        expect(() => renderLoadBalancerUserData({ text: fill(63_000), generation: "" })).not.toThrow();
        expect(() => renderLoadBalancerUserData({ text: fill(65_000), generation: "" })).toThrow(
            /at most 65536 .* that the program adds$/,
        );
    });
});
