/** The responses of the routes for operators, as JSON Schema. */
import { Type } from 'typebox';

export const Readiness = Type.Object(
  {
    status: Type.Enum(['ready', 'degraded', 'not_ready'], { type: 'string' }),
    parts: Type.Record(Type.String(), Type.String(), { description: '`ok`, or the fault.' }),
    degraded: Type.Optional(
      Type.Array(Type.String(), {
        description: 'The faults of a process that is ready all the same, such as a model whose files changed.',
      }),
    ),
  },
  { $id: 'Readiness' },
);

export const Health = Type.Object({ status: Type.Literal('ok') }, { $id: 'Health' });
