/** The responses of the entity routes, as JSON Schema. */
import { Type } from 'typebox';
import { listOf } from '../http/response-schemas.ts';

export const Entity = Type.Object(
  {
    key: Type.String(),
    name: Type.String(),
    aliases: Type.Array(Type.String()),
    attributes: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'Entity' },
);

const EntityType = Type.Object(
  { name: Type.String(), count: Type.Integer({ minimum: 0, description: 'The number of entities.' }) },
  { $id: 'EntityType' },
);

export const EntityTypeList = listOf('EntityTypeList', EntityType);
export const EntityList = listOf('EntityList', Entity);
