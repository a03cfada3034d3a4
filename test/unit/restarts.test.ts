import { describe, expect, it } from "vitest";
import { readUserData } from "../../userdata/files";
import { plannedRestarts } from "../../userdata/restarts";

describe("restarts that user data plans", () => {
    it.each([
        ["power_state: {mode: reboot, delay: now}", ["power_state"]],
        ["power_state:\n  mode: poweroff\n  delay: +30", ["power_state"]],
        ["package_reboot_if_required: true", ["package_reboot_if_required"]],
        ["apt_reboot_if_required: yes", ["apt_reboot_if_required"]],
        ["runcmd: [reboot]", ["reboot"]],
        ["runcmd:\n  - [shutdown, -r, now]", ["shutdown -r now"]],
        ["runcmd:\n  - [sh, -c, 'sleep 60; reboot']", ["sh -c sleep 60; reboot"]],
        ["runcmd:\n  - id\n  - systemctl reboot", ["systemctl reboot"]],
        ["runcmd:\n  - (sleep 60 && /sbin/reboot) &", ["(sleep 60 && /sbin/reboot) &"]],
        ["bootcmd:\n  - cloud-init-per once up shutdown -r +5", ["cloud-init-per once up shutdown -r +5"]],
        ["runcmd:\n  - echo reboot | at now + 5 minutes", ["echo reboot | at now + 5 minutes"]],
        [
            "runcmd:\n  - systemd-run --on-active=60 systemctl poweroff",
            ["systemd-run --on-active=60 systemctl poweroff"],
        ],
        [
            "write_files:\n  - path: /etc/cron.d/nightly\n    content: |\n      # at night\n      0 4 * * * root /sbin/shutdown -r now\n",
            ["0 4 * * * root /sbin/shutdown -r now"],
        ],
        [
            `write_files:\n  - path: /etc/apt/apt.conf.d/60\n    content: 'Unattended-Upgrade::Automatic-Reboot "true";'`,
            ['Unattended-Upgrade::Automatic-Reboot "true";'],
        ],
        [`a: &id id\nruncmd: [${"*id, ".repeat(150)}reboot]`, ["reboot"]],
        ["runcmd:\n  - echo b > /proc/sysrq-trigger", ["echo b > /proc/sysrq-trigger"]],
    ])("%j", (config, expected) => {
        expect(plannedRestarts(`#cloud-config\n${config}\n`)).toEqual(expected);
    });

    it("of a script are its lines", () => {
        expect(
            plannedRestarts(
                "#!/bin/sh\n# reboot\napt-get -y upgrade # then reboot\ninit 6\nshutdown -h 23:00\n",
            ),
        ).toEqual(["init 6", "shutdown -h 23:00"]);
    });

    it.each([
        "",
        "package_reboot_if_required: false",
        "# reboot",
        "runcmd: [nginx -s reload, 'test -e /run/reboot-required && echo later']",
        "runcmd: ['systemctl disable reboot-notifier', 'redis-cli shutdown nosave', 'crontab -l; echo @reboot /usr/bin/app']",
        "packages: [kexec-tools, molly-guard]",
        `write_files: [{path: /etc/a, content: 'Unattended-Upgrade::Automatic-Reboot "false";'}]`,
    ])("are none in %j", (config) => {
        expect(plannedRestarts(`#cloud-config\n${config}\n`)).toEqual([]);
    });

    it.each(["nginx", "haproxy"])("are none in %s", (name) => {
        expect(plannedRestarts(readUserData(name))).toEqual([]);
    });
});
