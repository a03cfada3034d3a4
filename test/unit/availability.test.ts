import { describe, expect, it } from "vitest";
import { type Offer, unavailable } from "../../account/availability";
import { parseSettings } from "../../config/settings";
import { debian, sizes } from "../mocks";
import { stackConfig } from "../stack-config";

const backend = { size: "s-1vcpu-1gb", image: "debian-12-x64", tags: ["dropscale-dev-backend"] };
const loadBalancer = { ...backend, tags: ["dropscale-dev-load-balancer"] };
const snapshot = {
    ...debian,
    id: 42,
    slug: "",
    name: "golden",
    private: true,
    regions: ["nyc3"],
    minDiskSize: 40,
};
const ubuntu = { ...debian, id: 8, slug: "ubuntu-24-04-x64" };

/** What is found where the account has these. */
function find(changes: Record<string, unknown>, account: Partial<Offer> = {}) {
    const { settings, problems } = parseSettings(stackConfig(changes), "dev");
    expect(problems).toEqual([]);
    const images = new Map(
        [debian, ubuntu, snapshot].map((image) => [image.slug || String(image.id), image]),
    );
    return unavailable(settings, {
        sizes,
        images,
        allImages: [...images.values()],
        droplets: [],
        dropletLimit: 25,
        ...account,
    });
}

const running = [backend, backend, backend, loadBalancer];
const none = { problems: [], warnings: [] };

describe("what the account has", () => {
    it("is enough for the defaults, before there is anything and after", () => {
        expect(find({})).toEqual(none);
        expect(find({}, { droplets: running })).toEqual(none);
    });

    it("says which sizes are like the wrong one: by slug and memory, with prices", () => {
        const more = [
            ["s-2vcpu-4gb", 4096, 24],
            ["s-4vcpu-4gb", 4096, 30],
            ["c-2", 4096, 42],
            ["s-2vcpu-16gb", 16_384, 90],
        ].map(([slug, memory, priceMonthly]) => ({ ...sizes[0], slug, memory, priceMonthly }));
        const { problems } = find({ size: "s-3vcpu-4gb" }, { sizes: [...sizes, ...more] as Offer["sizes"] });
        expect(problems).toEqual([
            "'size' s-3vcpu-4gb is not available in fra1; closest: s-2vcpu-4gb ($24), " +
                "s-4vcpu-4gb ($30), s-1vcpu-2gb ($12.5), s-1vcpu-1gb ($6), s-2vcpu-16gb ($90)",
        ]);
    });

    it.each(["size", "loadBalancerSize"])(
        "does not block what runs on a %s that is gone or sold out",
        (key) => {
            for (const size of ["s-1vcpu-768mb", "g-2vcpu-8gb"]) {
                const droplets = running.map((droplet) => ({ ...droplet, size }));
                const gone = find({ [key]: size }, { droplets });
                expect(gone.problems).toEqual([]);
                expect(gone.warnings).toEqual([
                    expect.stringMatching(
                        `'${key}' ${size} is no longer offered in fra1; running droplets are not affected.*closest: s-1`,
                    ),
                ]);
            }
        },
    );

    it("does not judge what is held, nor a pool of nothing", () => {
        const config = { size: "g-2vcpu-8gb", image: "99" };
        expect(find({ ...config, hold: [0, 1, 2] }, { droplets: running }).problems).toEqual([]);
        expect(find({ ...config, replicas: 0 }).problems).toEqual([]);
        expect(
            find({ ...config, hold: [0, 1, 2], replicas: 4 }, { droplets: running }).problems,
        ).toHaveLength(2);
        expect(find({ ...config, hold: [0, 1] }, { droplets: running }).problems).toHaveLength(2);
    });

    it("refuses an image that there is not, and names those that are like it", () => {
        expect(find({ image: "ubuntu-22-04-x64" }).problems).toEqual([
            "'image' ubuntu-22-04-x64 is not available in fra1; closest: ubuntu-24-04-x64, " +
                "debian-12-x64",
        ]);
        const { problems } = find(
            { image: "43", region: "nyc3", loadBalancerImage: "debian-13" },
            { droplets: running },
        );
        expect(problems).toEqual([
            "'image' 43 is not available in nyc3; closest: 42 (golden)",
            expect.stringMatching(/^'loadBalancerImage' debian-13 is not available .*closest: debian-12-x64/),
        ]);
    });

    it("does not block what runs on an image that is retired, until more are to be made of it", () => {
        const images = new Map([["debian-12-x64", { ...debian, status: "retired" }]]);
        const shrinking = find({ replicas: 2 }, { images, allImages: [ubuntu], droplets: running });
        expect(shrinking.problems).toEqual([]);
        expect(shrinking.warnings).toHaveLength(2);
        expect(shrinking.warnings[0]).toBe(
            "'image' debian-12-x64 is no longer offered in fra1; running droplets are not affected, but no more can be made; closest: ubuntu-24-04-x64",
        );
        expect(find({ replicas: 4 }, { images, droplets: running }).problems).toHaveLength(1);
    });

    it("refuses a snapshot of another region, and one that is larger than the disk", () => {
        expect(find({ image: "42" }).problems).toEqual([
            expect.stringContaining("'image' 42 is not available in fra1, only in nyc3;"),
        ]);
        const images = new Map([
            ["42", { ...snapshot, regions: ["fra1"] }],
            ["debian-12-x64", debian],
        ] as const);
        expect(find({ image: "42" }, { images }).problems).toEqual([
            "'size' should have a disk of at least 40 GB for 'image' 42, got s-1vcpu-1gb with 25 GB; closest: " +
                "s-1vcpu-2gb ($12.5)",
        ]);
        expect(find({ image: "42", size: "s-1vcpu-2gb" }, { images })).toEqual(none);
    });

    it("is refused beyond the droplet limit, counting those that there are and nothing twice", () => {
        const limit = (replicas: number, dropletLimit: number, droplets: Offer["droplets"]) =>
            find({ replicas }, { dropletLimit, droplets }).problems;
        const others = [
            { ...backend, tags: [] },
            { ...backend, tags: ["dropscale-prod-backend"] },
        ];
        expect(limit(3, 4, [])).toEqual([]);
        expect(limit(4, 4, [])).toEqual([
            "'replicas' 4 needs 5 more droplet(s), 1 too many: the account has 0 and may have 4; lower it, delete others, " +
                "or ask DigitalOcean for a higher limit",
        ]);
        expect(limit(5, 8, [...running, ...others])).toEqual([]);
        expect(limit(5, 7, [...running, ...others])).toEqual([
            expect.stringContaining("needs 2 more droplet(s), 1 too many"),
        ]);
        expect(limit(3, 3, running)).toEqual([]);
        expect(limit(1, 1, running)).toEqual([]);
    });

    it("is not asked about a key that was refused already", () => {
        const offer = { sizes, images: new Map(), allImages: [], droplets: [], dropletLimit: 0 };
        expect(unavailable({}, offer)).toEqual(none);
        expect(unavailable({ region: "xyz9" }, offer).problems).toEqual([
            "'region' should be one of fra1, nyc3, got xyz9",
        ]);
    });
});
