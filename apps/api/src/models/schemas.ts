/** Parameters and bodies of the routes for models, versions and aliases. */
import { Type } from 'typebox';
import { listParameters } from '../http/list.ts';

const closed = { additionalProperties: false } as const;

export const ModelParams = Type.Object({
  model: Type.String({ minLength: 1, maxLength: 200, description: 'Name of a model.' }),
});

export const VersionParams = Type.Object({
  model: Type.String({ minLength: 1, maxLength: 200, description: 'Name of a model.' }),
  version: Type.String({ minLength: 1, maxLength: 200, description: 'A version, or an alias of one.' }),
});

export const ListQuery = Type.Object(listParameters, closed);
export const ModelsQuery = Type.Object(
  {
    q: Type.Optional(
      Type.String({
        maxLength: 200,
        description: 'Only models whose name or description contains this text, in any case.',
      }),
    ),
    name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 10_100,
        description: 'Only the models with these names: at most 100 names, separated by commas.',
      }),
    ),
    status: Type.Optional(
      Type.Enum(['loading', 'ready', 'failed', 'draining', 'retired'], {
        type: 'string',
        description: 'Only models with a version of this status.',
      }),
    ),
    ...listParameters,
  },
  closed,
);

const NAME = '^[a-z0-9][a-z0-9._-]{0,99}$';

export const AliasParams = Type.Object({
  model: Type.String({ minLength: 1, maxLength: 200, description: 'Name of a model.' }),
  alias: Type.String({ pattern: NAME, description: 'Such as `production`, which serves requests without a version.' }),
});

export const AliasBody = Type.Object(
  { version: Type.String({ pattern: NAME, description: 'The target version of the alias.' }) },
  { ...closed, $id: 'SetAlias' },
);
