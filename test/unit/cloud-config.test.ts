import { describe, expect, it } from "vitest";
import { readUserData } from "../../userdata/render";
import { checkCloudConfig } from "../../userdata/cloud-config";

const check = (yaml: string) => checkCloudConfig(`#cloud-config\n${yaml}\n`);
const fine = { problems: [], warnings: [] };

describe("cloud-config", () => {
    it.each(["nginx", "haproxy"])("of %s is fine, and so are a script and an empty one", (name) => {
        expect(checkCloudConfig(readUserData(name))).toEqual(fine);
        expect(checkCloudConfig("#!/bin/sh\npackage: x\n")).toEqual(fine);
        expect(check("")).toEqual(fine);
    });

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
            "'write_files[0].permissions' should be text, got 420; put it in quotes (line 9: permissions: 0644)",
            "'write_files[0]' should be a map with 'path', got a map (content, permissions) (line 8: - content: x)",
            "'write_files[1].permisions' is no key of cloud-config; did you mean 'permissions'? (line 11: permisions: \"0644\")",
        ]);
    });

    it.each([
        ["packages: nginx", "'packages' should be a list, got \"nginx\""],
        ["packages: [[nginx, 1.2]]", "'packages[0][1]' should be text, got 1.2; put it in quotes"],
        ["package_update: 1", "'package_update' should be true or false, got 1"],
        [
            "users: [{name: a, ssh_authorized_keys: key}]",
            "'users[0].ssh_authorized_keys' should be a list of texts",
        ],
        ["ssh_keys: {rsa_privat: a}", "did you mean 'rsa_private'?"],
        ["power_state: {mode: off}", "'power_state.mode' should be one of poweroff, reboot, halt, got false"],
        [
            "write_files: [{path: /a, encoding: base-64}]",
            "'write_files[0].encoding' should be one of b64, base64",
        ],
        [
            "apt: {sources: {a: {keyid: 1234}}}",
            "'apt.sources.a.keyid' should be text, got 1234; put it in quotes",
        ],
        [
            "mounts: [[/dev/sda, /mnt, auto, defaults, 0, 0]]",
            "'mounts[0][4]' should be text, got 0; put it in quotes",
        ],
        ["- packages", "what follows the first line should be a map, got a list"],
        ["timezone:", "'timezone' should be text, got nothing"],
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
        "output: {all: '| tee -a /var/log/cloud-init-output.log'}",
    ])("takes %s", (yaml) => {
        expect(check(yaml).problems).toEqual([]);
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
