import { Type } from "@fastify/type-provider-typebox";

import { closed, Text, Whole } from "./answer-parts.ts";

/** What Prometheus answers to a query of a range; numbers are texts. */
export const Metrics = closed({
    status: Type.Literal("success"),
    data: closed({
        resultType: Type.Literal("matrix"),
        result: Type.Array(
            closed({
                metric: Type.Record(Text, Text),
                values: Type.Array(Type.Tuple([Whole, Text])),
            }),
        ),
    }),
});
