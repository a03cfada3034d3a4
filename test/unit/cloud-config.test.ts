import { describe, expect, it } from "vitest";
import { readUserData } from "../../userdata/files";
import { checkCloudConfig } from "../../userdata/cloud-config";
import { readable, unreadable } from "../yaml-texts";

const check = (yaml: string) => checkCloudConfig(`#cloud-config\n${yaml}\n`);
const fine = { problems: [], warnings: [] };

describe("cloud-config", () => {
    it.each(["nginx", "node", "varnish", "haproxy"])(
        "of %s is fine, and so are a script and an empty one",
        (name) => {
            expect(checkCloudConfig(readUserData(name))).toEqual(fine);
            expect(checkCloudConfig("#!/bin/sh\npackage: x\n")).toEqual(fine);
            expect(check("")).toEqual(fine);
        },
    );

    it("says all that is wrong at once, with the line", () => {
        const { problems } = check(`package: [nginx]
runcmd:
  - systemctl restart nginx
  - [sh, -c, id]
  - echo: hi
write_files:
  - content: x
    permissions: 0644
  - path: /a
    permisions: "0644"
`);
        expect(problems).toEqual([
            "'package' is no key of cloud-config; did you mean 'packages'? (line 2: package: [nginx])",
            "'runcmd[2]' should be text or a list of texts or empty, got a map (echo) (line 6: - echo: hi)",
            "'write_files[0].permissions' should be text, got 0644; put it in quotes (line 9: permissions: 0644)",
            "'write_files[0]' should be a map with 'path', got a map (content, permissions) (line 8: - content: x)",
            "'write_files[1].permisions' is no key of cloud-config; did you mean 'permissions'? (line 11: permisions: \"0644\")",
        ]);
    });

    it.each([
        ["packages: nginx", "'packages' should be a list, got \"nginx\""],
        ["packages: [[nginx, 1.2]]", "'packages[0][1]' should be text, got 1.2; put it in quotes"],
        [
            "merge_how: append",
            "'merge_how' should be such as dict(replace)+list(append)+str() or a list, got \"append\"",
        ],
        ["merge_type: [{name: list}]", "'merge_type[0]' should be a map with 'settings'"],
        ["runcmd: id", "'runcmd' should be a list, got \"id\""],
        ["bootcmd: [true]", "'bootcmd[0]' should be text or a list of texts, got true"],
        ["ssh_authorized_keys: key", "'ssh_authorized_keys' should be a list of texts, got \"key\""],
        ["write_files: [{path: /a, content: 1.50}]", "'write_files[0].content' should be text, got 1.50"],
        [
            "write_files: [{path: /a, encoding: base-64}]",
            "'write_files[0].encoding' should be one of b64, base64",
        ],
        ["- packages", "what follows the first line should be a map, got a list"],
    ])("refuses %s", (yaml, message) => {
        expect(check(yaml).problems.join("\n")).toContain(message);
    });

    it.each([
        "ssh_pwauth: no",
        "packages: [y, n, 12e5, [nginx, '1.2'], {apt: [curl]}]",
        "runcmd: [id, [sh, -c, id], null]",
        "users: [default, {name: a, sudo: null, groups: [adm], uid: 1000}]",
        "x-parts: &parts [curl]\npackages: *parts",
        "chpasswd: {expire: no, users: [{name: a, type: RANDOM}]}",
        "write_files: [{path: /a, content: !!binary aGk=, append: true}]",
        "merge_how: dict(recurse_array)+list(append)",
        "merge_how: [{name: list, settings: [append]}, {name: dict, settings: [no_replace]}]",
        // What cloud-init's own schema says at boot is left to it.
        "mounts: [[/dev/sda, /mnt, auto, defaults, 0, 0]]",
        "output: {all: '| tee -a /var/log/cloud-init-output.log'}",
    ])("takes %s", (yaml) => {
        expect(check(yaml).problems).toEqual([]);
    });

    it.each(unreadable)("refuses what cloud-init can't read, with its line: %j", (yaml, message) => {
        const { problems } = check(yaml);
        expect(problems.join("\n")).toContain(message);
        expect(problems[0]).toMatch(/\(line [23]: /);
    });

    it.each(readable)("takes what cloud-init reads, odd as it is: %j", (yaml) => {
        expect(check(yaml).problems.filter((problem) => !problem.includes("is no key"))).toEqual([]);
    });

    it("says every tab and character that is in the way, and of the key that is there twice what is lost", () => {
        expect(check("runcmd:\n  -\tid\n# \u0085\n  -\tls").problems).toHaveLength(1);
        expect(check("runcmd:\n  -\tid\n  -\tls").problems).toEqual([
            "a tab may stand in quotes, in comments and in text after | or > only; put blanks in its place (line 3: -\tid)",
            "a tab may stand in quotes, in comments and in text after | or > only; put blanks in its place (line 4: -\tls)",
        ]);
        expect(check("runcmd: [a]\nruncmd: [b]").problems).toEqual([
            "the key is there twice, and of the two values the first is lost; take one out (line 3: runcmd: [b])",
        ]);
    });

    it("refuses aliases that unfold to billions, at once", () => {
        const level = (name: string, of: string) => `${name}: &${name} [${`${of}, `.repeat(9)}]`;
        const names = Array.from("abcdefghij");
        const lines = names.map((name, i) => level(name, i === 0 ? "x" : `*${names[i - 1] ?? ""}`));
        expect(check(lines.join("\n")).problems[0]).toContain("unfold to more than 65536 values");
    });

    it("warns of a key that nobody knows: a later cloud-init may", () => {
        expect(check("quantum_setup: true")).toEqual({
            problems: [],
            warnings: [
                "'quantum_setup' is no key of cloud-config that is known here: see whether the image's cloud-init has it",
            ],
        });
    });
});
