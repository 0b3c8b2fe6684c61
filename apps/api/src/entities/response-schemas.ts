/** The responses of the entity routes, as JSON Schema. */
import { Type } from 'typebox';

export const Entity = Type.Object(
  {
    key: Type.String(),
    name: Type.String(),
    aliases: Type.Array(Type.String()),
    attributes: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'Entity' },
);

export const EntityList = Type.Object({ entities: Type.Array(Entity) }, { $id: 'EntityList' });
