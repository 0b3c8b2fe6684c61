/** Parameters of the routes for entities. */
import { Type } from 'typebox';

const closed = { additionalProperties: false } as const;

export const EntityParams = Type.Object({ entity: Type.String({ minLength: 1, maxLength: 100 }) });
export const EntityKeyParams = Type.Object({
  entity: Type.String({ minLength: 1, maxLength: 100 }),
  key: Type.String({ minLength: 1, maxLength: 300 }),
});

export const EntityQuery = Type.Object(
  {
    q: Type.Optional(Type.String({ maxLength: 200, description: 'The beginning or a part of a name or alias.' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 10 })),
  },
  closed,
);
