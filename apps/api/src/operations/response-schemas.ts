/** The responses of the routes for operators, as JSON Schema. */
import { Type } from 'typebox';
import { extensible } from '../http/response-schemas.ts';

export const Readiness = Type.Object(
  {
    status: extensible(['ready', 'degraded', 'not_ready']),
    parts: Type.Record(Type.String(), Type.String(), { description: '`ok`, or the fault.' }),
    degraded: Type.Optional(
      Type.Array(Type.String(), {
        description: 'The faults of a process that is ready all the same, such as a model whose files changed.',
      }),
    ),
  },
  { $id: 'Readiness' },
);

export const Health = Type.Object({ status: extensible(['ok']) }, { $id: 'Health' });

export const Service = Type.Object(
  {
    name: Type.String(),
    version: Type.String({ description: 'The version of the server.' }),
    api_version: Type.String({ description: 'The version of the API: the value of `Millrace-Version`.' }),
    limits: Type.Object(
      {
        body_bytes: Type.Integer({ description: 'The largest body.' }),
        json_bytes: Type.Integer({ description: 'The largest body of JSON.' }),
        rows: Type.Integer({ description: 'The most `inputs` of a prediction.' }),
        metadata_bytes: Type.Integer({ description: 'The largest `metadata`, as JSON.' }),
        wait_s: Type.Integer({ description: 'The longest wait.' }),
        list: Type.Integer({ description: 'The most items of a page.' }),
      },
      { $id: 'Limits' },
    ),
    features: Type.Array(Type.String(), {
      description: 'Extensible. Send a new request field only when the name of its feature is in the list.',
    }),
  },
  { $id: 'Service' },
);
