import { describe, expect, it } from "vitest";
import { acquireOptions, debianSources } from "../../droplets/apt.ts";
import { recipeHash } from "../../build-once.ts";
import { hierarchies } from "../../droplets/cgroups.ts";
import { memInfo, seedFiles, type Seed } from "../../droplets/seed.ts";
import { missingHostPackages } from "../../host.ts";
import { defaultImage, releaseOf } from "../../releases.ts";

const droplet = {
    id: 7,
    hostname: "web-0-3f2a1b7",
    userData: "#cloud-config\npackages: [nginx]\n",
    publicIp: "198.18.9.2",
    anchorIp: "10.17.0.2",
    privateIp: "10.114.0.2",
};
const seed: Seed = {
    droplet,
    vpc: { ipRange: "10.114.0.0/20" },
    addresses: { publicCidr: "198.18.9.0/24", publicGateway: "198.18.9.1", anchorCidr: "10.17.0.0/16" },
    publicKeys: ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"],
};

describe("seed", () => {
    it.each(["", "#cloud-config\nruncmd: [date]", "#!/bin/sh\necho é € \\n", "\n #cloud-config\r\n\t"])(
        "hands user data on as it was given: %j",
        (userData) => {
            expect(seedFiles({ ...seed, droplet: { ...droplet, userData } })["user-data"]).toBe(userData);
        },
    );

    it("names the droplet and its keys", () => {
        expect(JSON.parse(seedFiles(seed)["meta-data"] ?? "")).toEqual({
            "instance-id": "7",
            "local-hostname": "web-0-3f2a1b7",
            "public-keys": ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"],
        });
    });

    it("gives eth0 the public and the anchor address, eth1 the private one, and one gateway", () => {
        expect(JSON.parse(seedFiles(seed)["network-config"] ?? "")).toEqual({
            version: 1,
            config: [
                {
                    type: "physical",
                    name: "eth0",
                    subnets: [
                        { type: "static", address: "198.18.9.2/24", gateway: "198.18.9.1" },
                        { type: "static", address: "10.17.0.2/16" },
                    ],
                },
                { type: "physical", name: "eth1", subnets: [{ type: "static", address: "10.114.0.2/20" }] },
            ],
        });
    });

    it("writes meminfo as the kernel does", () => {
        expect(memInfo(1024).split("\n")[0]).toBe("MemTotal:        1048576 kB");
    });
});

describe("recipe hash", () => {
    it("is the same for the same recipe and another for every change", () => {
        const recipe = { packages: ["nginx", "curl"], files: { "/etc/fstab": ["a"] } };
        expect(recipeHash(structuredClone(recipe))).toBe(recipeHash(recipe));
        const changed = [
            { ...recipe, packages: ["nginx"] },
            { ...recipe, packages: ["curl", "nginx"] },
            { ...recipe, files: { "/etc/fstab": ["b"] } },
        ];
        expect(new Set([recipe, ...changed].map(recipeHash)).size).toBe(4);
    });
});

describe("the host's apt", () => {
    const bookworm = releaseOf(defaultImage);

    it("takes Debian's main component of a release, from wherever the host takes its own", () => {
        const targets = [
            "Debian main bookworm http://mirror.example/debian/",
            "Debian main bookworm-updates http://mirror.example/debian/",
            "Debian main bookworm-security http://mirror.example/debian-security/",
            "Debian contrib bookworm http://mirror.example/debian/",
            "Example main bookworm http://third-party.example/",
            "Debian main bookworm http://mirror.example/debian/",
        ];
        expect(debianSources(targets.join("\n"), bookworm)).toEqual([
            "deb http://mirror.example/debian/ bookworm main",
            "deb http://mirror.example/debian/ bookworm-updates main",
            "deb http://mirror.example/debian-security/ bookworm-security main",
        ]);
        expect(debianSources(targets.join("\n"), releaseOf("debian-13-x64"))).toEqual([
            "deb http://mirror.example/debian/ trixie main",
            "deb http://mirror.example/debian/ trixie-updates main",
            "deb http://mirror.example/debian-security/ trixie-security main",
        ]);
    });

    it("finds nothing on a host that is no Debian", () => {
        expect(debianSources("Ubuntu main noble http://archive.example/ubuntu/", bookworm)).toEqual([]);
        expect(
            debianSources("Debian main bookworm-security http://mirror.example/debian-security/", bookworm),
        ).toEqual([]);
        expect(debianSources("", bookworm)).toEqual([]);
    });

    it("keeps proxies and date checks, and nothing else", () => {
        const dump = [
            'Acquire "";',
            'Acquire::http::Proxy "http://proxy.example:3128";',
            'Acquire::https::Proxy "DIRECT";',
            'Acquire::Check-Valid-Until "false";',
            'Acquire::Languages:: "none";',
            'Acquire::IndexTargets::deb::Packages::MetaKey "x";',
        ];
        expect(acquireOptions(dump.join("\n"))).toEqual(dump.slice(1, 4));
    });
});

describe("cgroup hierarchies", () => {
    const other = "proc /proc proc rw 0 0\ntmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0\n";

    it("finds the one of a pure version 2 host", () => {
        expect(hierarchies(`${other}cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n`)).toEqual([
            { folder: "/sys/fs/cgroup", version: 2, controllers: [] },
        ]);
    });

    it("finds all of a hybrid host", () => {
        const mounts = [
            "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0",
            "cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0",
            "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0",
        ];
        const found = hierarchies(other + mounts.join("\n"));
        expect(found.map(({ folder }) => folder)).toEqual(mounts.map((line) => line.split(" ")[1]));
        expect(found.find(({ controllers }) => controllers.includes("cpu"))?.folder).toContain("cpu,cpuacct");
    });
});

describe("host packages", () => {
    it("names the package of each missing command or file, once", async () => {
        const needs = {
            sh: "dash",
            "no-such-command": "zsh",
            "no-such-other": "zsh",
            "/etc/passwd": "base-passwd",
            "/no/such/file": "abc",
        };
        expect(await missingHostPackages(needs)).toEqual(["abc", "zsh"]);
    });
});
