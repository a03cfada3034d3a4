import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lookAtImage } from "../../account/images";
import {
    type BakedImage,
    bakedImageName,
    builderName,
    builderTag,
    describeBakedImage,
    outdated,
    readBakedImage,
    readBuilder,
} from "../../lib/baked-images";
import { builderFirewall, builderUserData } from "../../tools/bake/builder";
import { type AccountImage, imageCost, surplusImages } from "../../tools/bake/images";
import { fittingSizes, type Size } from "../../tools/bake/order";
import { splitUserData } from "../../userdata/multipart";
import { userDataHash } from "../../userdata/render";

const baked: BakedImage = {
    ...{ prefix: "dropscale-prod", userData: "nginx", base: "debian-12-x64", hash: "5e0c1f77aabb" },
    bakedAt: new Date("2026-01-02T03:04:05Z"),
};
const name = "dropscale-prod.baked.nginx.debian-12-x64.20260102T030405Z.5e0c1f77aabb";
const day = 86_400_000;
const at = (days: number) => baked.bakedAt.getTime() + days * day;

/** As the config allows them. */
const prefixes = fc.stringMatching(/^[a-z][a-z0-9]{0,30}-[a-z0-9-]{1,60}$/);
const times = fc.date({ min: new Date(0), max: new Date("9999-12-31"), noInvalidDate: true }).map((time) => {
    time.setUTCMilliseconds(0);
    return time;
});

describe("the name of a baked image", () => {
    it("says whose it is, of what and when", () => {
        expect(bakedImageName(baked)).toBe(name);
        expect(readBakedImage(name)).toEqual(baked);
        expect(describeBakedImage(baked)).toBe(
            "nginx, baked 2026-01-02 on debian-12-x64, user data sha256 5e0c1f77aabb",
        );
    });

    it("is read back for whatever it can be", () => {
        const images = fc.record({
            prefix: prefixes,
            userData: fc.stringMatching(/^[\w-]{1,60}$/),
            base: fc.stringMatching(/^[a-z0-9][a-z0-9-]*$/),
            bakedAt: times,
            hash: fc.stringMatching(/^[0-9a-f]{12}$/),
        });
        fc.assert(
            fc.property(images, (image) => {
                expect(readBakedImage(bakedImageName(image))).toEqual(image);
            }),
        );
    });

    it.each([
        "debian-12-x64",
        "",
        name.replace("baked", "golden"),
        `${name}.1`,
        name.replace("0102T", "0132T"),
        name.slice(1, -1),
    ])("is not: %s", (other) => {
        expect(readBakedImage(other)).toBeUndefined();
    });
});

describe("the name of a builder", () => {
    const builder = { startedAt: baked.bakedAt, run: "5e0c1f77" };

    it("is its tag's and its firewall's, and a short one a host can have", () => {
        expect(builderTag("dropscale-prod", builder)).toBe("dropscale-prod-bake-20260102T030405Z-5e0c1f77");
        expect(builderName(builder)).toBe("bake-5e0c1f77");
    });

    it("is read back by its own stack, and by no other", () => {
        fc.assert(
            fc.property(prefixes, prefixes, times, (prefix, other, startedAt) => {
                const tag = builderTag(prefix, { startedAt, run: "5e0c1f77" });
                expect(readBuilder(prefix, tag)).toEqual({ startedAt, run: "5e0c1f77" });
                if (other !== prefix) expect(readBuilder(other, tag)).toBeUndefined();
            }),
        );
    });
});

describe("an image that servers are made of", () => {
    it("is up to date for 45 days, with the user data of which it was made", () => {
        expect(outdated("7", baked, baked.hash, at(45))).toEqual([]);
        expect(outdated("7", baked, undefined, at(1))).toEqual([]);
        expect(outdated("7", baked, baked.hash, at(46))).toEqual([
            "'image' 7 (nginx, baked 2026-01-02 on debian-12-x64, user data sha256 5e0c1f77aabb) is 46 days old, and so " +
                "are its packages; `npm run bake -- --userdata nginx` makes a new one",
        ]);
        expect(outdated("7", baked, "0123456789ab", at(1))).toEqual([
            expect.stringMatching(
                /^'image' 7 \(.*\) was made of other user data than servers get now \(sha256 0123456789ab\)/,
            ),
        ]);
    });

    const image = (of: string) => ({
        ...{ id: 7, slug: "", name: of, private: true, regions: [], minDiskSize: 10, status: "available" },
    });
    const look = (wanted: string, of: string, userdata?: string) =>
        lookAtImage({ image: wanted, userdata }, new Map([[wanted, image(of)]]));

    it("is said in words by a preview, where the config has a number", () => {
        expect(look("debian-12-x64", "12 x64")).toEqual({ warnings: [] });
        expect(lookAtImage({ image: "7" }, new Map())).toEqual({ warnings: [] });
        expect(look("7", "my own")).toEqual({ imageIs: "my own", warnings: [] });
        const hash = userDataHash("#!/bin/sh\n");
        const fresh = bakedImageName({ ...baked, bakedAt: new Date(), hash });
        expect(look("7", fresh, "#!/bin/sh\n")).toEqual({
            imageIs: expect.stringMatching(/^nginx, baked/) as string,
            warnings: [],
        });
        expect(look("7", fresh, "#!/bin/sh\ntrue\n").warnings).toHaveLength(1);
    });
});

describe("images that there are already", () => {
    const of = (id: number, change: Partial<BakedImage> = {}): AccountImage => ({
        ...{ id, size_gigabytes: 1, min_disk_size: 10 },
        name: bakedImageName({ ...baked, bakedAt: new Date(at(id)), ...change }),
    });
    const surplus = (images: AccountImage[], inUse: number[] = []) =>
        surplusImages(images, baked, new Set(inUse)).map(({ id }) => id);

    it("stay while they are the newest three of their kind, or are in use", () => {
        expect(surplus([1, 2, 3].map((id) => of(id)))).toEqual([]);
        const six = [4, 1, 6, 2, 5, 3].map((id) => of(id));
        expect(surplus(six)).toEqual([3, 2, 1]);
        expect(surplus(six, [2])).toEqual([3, 1]);
        const others = [
            ...[
                of(11, { userData: "varnish" }),
                of(12, { base: "debian-13-x64" }),
                of(13, { prefix: "dropscale-dev" }),
            ],
            { ...of(14), name: "somebody's" },
        ];
        expect(surplus([...others, of(1), of(2), of(3)])).toEqual([]);
    });

    it("cost 6 cents a gigabyte, and a cent at least", () => {
        expect([0.01, 0.5, 1.62, 25].map((size_gigabytes) => imageCost({ size_gigabytes }))).toEqual([
            0.01, 0.03, 0.1, 1.5,
        ]);
    });
});

describe("the builder", () => {
    const size = (slug: string, disk: number, price_monthly: number, more: Partial<Size> = {}): Size => ({
        ...{ slug, disk, price_monthly, memory: 512, available: true, regions: ["fra1"] },
        ...more,
    });

    it("has the smallest disk that its base fits on, then the lowest price", () => {
        const sizes = [
            ...[size("large", 50, 12), size("dear", 10, 7), size("small", 10, 4)],
            ...[size("gone", 5, 1, { available: false }), size("elsewhere", 5, 1, { regions: ["nyc3"] })],
        ];
        expect(fittingSizes(sizes, "fra1", 10).map(({ slug }) => slug)).toEqual(["small", "dear", "large"]);
        expect(fittingSizes(sizes, "fra1", 15).map(({ slug }) => slug)).toEqual(["large"]);
    });

    it("is let out, and lets nobody in", () => {
        const firewall = builderFirewall("a-tag");
        expect(firewall).toMatchObject({ name: "a-tag", tags: ["a-tag"] });
        expect(firewall).not.toHaveProperty("inbound_rules");
        expect(firewall.outbound_rules.map(({ protocol }) => protocol)).toEqual(["tcp", "udp", "icmp"]);
    });

    it("gets the servers' own text behind the script that makes an image of it", () => {
        const sent = builderUserData("#cloud-config\npackages: [nginx]\n");
        expect(splitUserData(sent)).toEqual({ text: "#cloud-config\npackages: [nginx]\n", generation: "" });
        expect(sent).toContain("systemctl poweroff");
        expect(() => builderUserData("packages: [nginx]\n")).toThrow(/first line/);
        expect(() => builderUserData(`#cloud-config\n# ${"x".repeat(65_000)}\n`)).toThrow(
            /at most 65536 bytes/,
        );
    });
});
