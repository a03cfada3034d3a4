import { afterEach, describe, expect, it, vi } from "vitest";
import { instance } from "../../instance.ts";
import { lookUp, metadataDocument, metadataFolder } from "../../region/metadata.ts";
import { portsOf } from "../../region/names.ts";
import { Region } from "../../region/region.ts";
import { dropletOf, exampleCloud, withReservedIp } from "../region-cloud.ts";

const sandbox = instance({ name: "unit", index: 7, stateDir: "/nowhere", kind: "nspawn" });
const cloud = exampleCloud(sandbox);
const droplet = dropletOf(cloud, 5);

describe("metadata", () => {
    const folder = (state = cloud) => metadataFolder(droplet, state, sandbox);
    const text = (path: string, state = cloud) => lookUp(folder(state), path);

    it.each([
        [
            "",
            "id\nhostname\nuser-data\nvendor-data\npublic-keys\nregion\ninterfaces/\ndns/\nfloating_ip/\nreserved_ip/\ntags/\nfeatures/",
        ],
        ["id", "5"],
        ["hostname", "droplet-5"],
        ["user-data", "#cloud-config\n# 5\n"],
        ["vendor-data", ""],
        ["public-keys", "ssh-ed25519 AAAA me"],
        ["region", "fra1"],
        ["interfaces/", "public/\nprivate/"],
        ["interfaces/public/", "0/"],
        ["interfaces/public/0/", "ipv4/\nanchor_ipv4/\nmac\ntype"],
        ["interfaces/public/0/type", "public"],
        ["interfaces/public/0/mac", "02:00:00:00:00:05"],
        ["interfaces/public/0/ipv4/address", "198.18.7.5"],
        ["interfaces/public/0/ipv4/netmask", "255.255.255.0"],
        ["interfaces/public/0/ipv4/gateway", "198.18.7.1"],
        ["interfaces/public/0/anchor_ipv4/address", "10.17.0.5"],
        ["interfaces/public/0/anchor_ipv4/netmask", "255.255.0.0"],
        ["interfaces/public/0/anchor_ipv4/gateway", "10.17.0.1"],
        ["interfaces/private/0/ipv4/address", "10.114.0.5"],
        ["interfaces/private/0/ipv4/netmask", "255.255.240.0"],
        ["interfaces/private/0/type", "private"],
        ["dns/nameservers", "169.254.169.254"],
        ["tags/", "lb"],
        ["features/dhcp_enabled", "false"],
        ["reserved_ip/ipv4/active", "false"],
        ["floating_ip/ipv4/active", "false"],
    ])("%s", (path, expected) => {
        expect(text(path)).toEqual({ text: expected });
    });

    it.each([
        "nothing",
        "id/",
        "id/x",
        "interfaces/public/1/",
        "constructor",
        "__proto__/",
        "reserved_ip/ipv4/ip_address",
    ])("has nothing at %s", (path) => {
        expect(text(path)).toBeUndefined();
    });

    it("redirects from a folder without its slash", () => {
        expect(text("interfaces/public")).toBe("redirect");
    });

    it("shows the reserved IP that the droplet holds, under both names", () => {
        const state = withReservedIp(cloud, 5);
        expect(text("reserved_ip/ipv4/active", state)).toEqual({ text: "true" });
        expect(text("reserved_ip/ipv4/ip_address", state)).toEqual({ text: "198.18.7.200" });
        expect(text("floating_ip/ipv4/ip_address", state)).toEqual({ text: "198.18.7.200" });
        expect(metadataDocument(droplet, state, sandbox).reserved_ip).toEqual({
            ipv4: { active: true, ip_address: "198.18.7.200" },
        });
    });

    it("as one document has the names that cloud-init reads", () => {
        expect(metadataDocument(droplet, cloud, sandbox)).toMatchObject({
            droplet_id: 5,
            hostname: "droplet-5",
            user_data: "#cloud-config\n# 5\n",
            public_keys: ["ssh-ed25519 AAAA me"],
            interfaces: {
                public: [
                    { ipv4: { ip_address: "198.18.7.5", netmask: "255.255.255.0", gateway: "198.18.7.1" } },
                ],
                private: [{ ipv4: { ip_address: "10.114.0.5", netmask: "255.255.240.0" } }],
            },
            tags: ["lb"],
        });
    });
});

describe("names", () => {
    it("of the router's interfaces fit into the kernel's 15 characters, and MAC addresses differ", () => {
        const { public: outer, private: inner } = portsOf(999_999_999);
        expect(outer.outside.length).toBeLessThanOrEqual(15);
        expect([outer.mac, inner.mac]).toEqual(["02:00:3b:9a:c9:ff", "02:01:3b:9a:c9:ff"]);
    });
});

describe("a region", () => {
    afterEach(() => vi.restoreAllMocks());

    it("says in one line that it needs root", async () => {
        vi.spyOn(process, "getuid").mockReturnValue(1000);
        await expect(new Region(sandbox).start(cloud)).rejects.toThrow(
            /^droplets that boot need root on Linux.*user 1000.*$/,
        );
    });
});
