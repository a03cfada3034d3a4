import { Type } from "@fastify/type-provider-typebox";

import { distributions } from "../catalog.ts";
import type { ControlPlane } from "../control-plane.ts";
import { ApiError, found } from "../errors.ts";
import { type Api, list, Params } from "../http.ts";
import { distributionView, snapshotImageView, snapshotView } from "../views.ts";

/** Distribution images, and snapshots under both of their names. */
export function imageRoutes(api: Api, control: ControlPlane): void {
    const findSnapshot = (id: string) =>
        found(control.cloud.snapshots.find((snapshot) => String(snapshot.id) === id));
    const findDistribution = (id: string) =>
        distributions.find((image) => image.slug === id || String(image.id) === id);

    list(api, "/v2/images", "images", ({ type, private: own, tag_name: tag }) => [
        ...(own || tag || (type && type !== "distribution") ? [] : distributions.map(distributionView)),
        ...(type
            ? []
            : control.cloud.snapshots
                  .filter(({ tags }) => !tag || tags.includes(tag))
                  .map(snapshotImageView)),
    ]);
    api.get("/v2/images/:id", { schema: { params: Params.Uuid } }, ({ params: { id } }) => {
        const distribution = findDistribution(id);
        return { image: distribution ? distributionView(distribution) : snapshotImageView(findSnapshot(id)) };
    });
    const Rename = { params: Params.Uuid, body: Type.Object({ name: Type.String() }) };
    api.put("/v2/images/:id", { schema: Rename }, (request) => {
        const snapshot = findSnapshot(request.params.id);
        snapshot.name = request.body.name;
        control.save();
        return { image: snapshotImageView(snapshot) };
    });

    list(api, "/v2/snapshots", "snapshots", ({ resource_type: type }) =>
        type && type !== "droplet" ? [] : control.cloud.snapshots.map(snapshotView),
    );
    api.get("/v2/snapshots/:id", { schema: { params: Params.Uuid } }, (request) => ({
        snapshot: snapshotView(findSnapshot(request.params.id)),
    }));
    for (const url of ["/v2/snapshots/:id", "/v2/images/:id"]) {
        api.delete(url, { schema: { params: Params.Uuid } }, async (request, reply) => {
            if (findDistribution(request.params.id)) {
                throw new ApiError(403, "forbidden", "You do not have access for the attempted action.");
            }
            await control.deleteSnapshot(findSnapshot(request.params.id));
            return reply.code(204).send();
        });
    }
}
