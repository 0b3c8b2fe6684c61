/** Parameters of the routes for entities. */
import { Type } from 'typebox';
import { listParameters } from '../http/list.ts';

const closed = { additionalProperties: false } as const;
const model = Type.String({ minLength: 1, maxLength: 200, description: 'Name of a model.' });
const version = Type.String({ minLength: 1, maxLength: 200, description: 'A version, or an alias of a version.' });
const entity = Type.String({ minLength: 1, maxLength: 100, description: 'A type of entities, such as `drug`.' });
const key = Type.String({ minLength: 1, maxLength: 300, description: 'The key, name or alias of an entity.' });

/** For each route two forms: of the version that serves the model, and of a named version. */
export const TypesParams = Type.Object({ model, version: Type.Optional(version) });
export const EntityParams = Type.Object({ model, version: Type.Optional(version), entity });
export const EntityKeyParams = Type.Object({ model, version: Type.Optional(version), entity, key });

export const TypesQuery = Type.Object(listParameters, closed);
export const EntityQuery = Type.Object(
  {
    q: Type.Optional(
      Type.String({
        maxLength: 200,
        description: 'The beginning or a part of a name or alias. Without such a name: similar names.',
      }),
    ),
    ...listParameters,
  },
  closed,
);
