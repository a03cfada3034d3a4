import { Type } from "@fastify/type-provider-typebox";

import { distributions } from "../catalog.ts";
import { DistributionName, One, Page } from "../answers.ts";
import type { ControlPlane } from "../control-plane.ts";
import { ApiError, found } from "../errors.ts";
import { type Api, Deletion, list, Params } from "../http.ts";
import { distributionView, snapshotImageView, snapshotView } from "../views.ts";

/** Distribution images, and snapshots under both of their names. */
export function imageRoutes(api: Api, control: ControlPlane): void {
    const findSnapshot = (id: string) =>
        found(control.cloud.snapshots.find((snapshot) => String(snapshot.id) === id));
    const findDistribution = (id: string) =>
        distributions.find((image) => image.slug === id || String(image.id) === id);

    const refuseDistribution = (id: string) => {
        if (findDistribution(id)) {
            throw new ApiError(403, "forbidden", "You do not have access for the attempted action.");
        }
    };

    list(api, "/v2/images", Page.images, ({ type, private: own, tag_name: tag }) => [
        ...(own || tag || (type && type !== "distribution") ? [] : distributions.map(distributionView)),
        ...(type
            ? []
            : control.cloud.snapshots
                  .filter(({ tags }) => !tag || tags.includes(tag))
                  .map(snapshotImageView)),
    ]);
    const Get = { params: Params.Uuid, response: { 200: One.image } };
    api.get("/v2/images/:id", { schema: Get }, ({ params: { id } }) => {
        const distribution = findDistribution(id);
        return { image: distribution ? distributionView(distribution) : snapshotImageView(findSnapshot(id)) };
    });
    const Change = Type.Object({
        name: Type.Optional(Type.String({ minLength: 1 })),
        description: Type.Optional(Type.String()),
        distribution: Type.Optional(DistributionName),
    });
    api.put("/v2/images/:id", { schema: { ...Get, body: Change } }, (request) => {
        refuseDistribution(request.params.id);
        const snapshot = findSnapshot(request.params.id);
        const { name = snapshot.name, description, distribution } = request.body;
        Object.assign(
            snapshot,
            { name },
            description !== undefined && { description },
            distribution && { distribution },
        );
        control.save();
        return { image: snapshotImageView(snapshot) };
    });

    list(api, "/v2/snapshots", Page.snapshots, ({ resource_type: type }) =>
        type && type !== "droplet" ? [] : control.cloud.snapshots.map(snapshotView),
    );
    const GetSnapshot = { params: Params.Uuid, response: { 200: One.snapshot } };
    api.get("/v2/snapshots/:id", { schema: GetSnapshot }, (request) => ({
        snapshot: snapshotView(findSnapshot(request.params.id)),
    }));
    for (const url of ["/v2/snapshots/:id", "/v2/images/:id"]) {
        api.delete(url, { schema: Deletion }, async (request, reply) => {
            refuseDistribution(request.params.id);
            await control.deleteSnapshot(findSnapshot(request.params.id));
            return reply.code(204).send();
        });
    }
}
