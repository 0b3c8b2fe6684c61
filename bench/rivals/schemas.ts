/**
 * The schemas of requests and responses for every rival. Fastify validates and serializes fastest with compiled
 * schemas.
 */
import { Type } from 'typebox';
import handler from '../../models/drug-interaction/handler.ts';

/** The body that Millrace accepts. The bench sends only `input`. */
export const Body = Type.Object(
  {
    input: handler.input,
    webhook: Type.Optional(Type.String({ maxLength: 2_000 })),
    priority: Type.Optional(Type.Union([Type.Literal('low'), Type.Literal('normal'), Type.Literal('high')])),
    expires_in: Type.Optional(Type.Integer({ minimum: 1, maximum: 604_800 })),
    metadata: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { additionalProperties: false },
);

export const ResponseBody = Type.Object({ output: handler.output });
