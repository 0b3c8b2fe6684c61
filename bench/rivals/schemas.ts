/** What every rival checks of a request, and how its answers are written: by compiled schemas, as Fastify does it best. */
import { Type } from 'typebox';
import handler from '../../models/drug-interaction/handler.ts';

/** The body that Millrace takes, of which the bench sends `input`. */
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

export const Answer = Type.Object({ output: handler.output });
