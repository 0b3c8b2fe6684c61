/** Finds the models that embed or rank texts. The schemas of the version decide, of a task as of a user's handler. */
import { ApiError } from '@millrace/shared/errors';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { Catalog } from '../models/catalog.ts';
import { invalid } from './read-body.ts';

/** `embedding`: `{"text"}` to `{"embedding"}`. `ranking`: `{"query", "text"}` to `{"score"}`. */
export type TextUse = 'embedding' | 'ranking';

const MEMBERS: Record<TextUse, { input: readonly string[]; output: string }> = {
  embedding: { input: ['text'], output: 'embedding' },
  ranking: { input: ['query', 'text'], output: 'score' },
};

/** Separates the name of a model and a version or alias. No name has this character. */
const VERSION_MARK = ':';
const NAMES_MAX = 10;

type TextModels = Pick<Catalog, 'models' | 'serving'>;

/** The version that serves a name such as `minilm`, `minilm:2` or `minilm:production`. Throws ApiError. */
export async function textModel(
  catalog: TextModels,
  tenant: string,
  { name, use }: { name: string; use: TextUse },
): Promise<ModelVersion> {
  const [model = '', ...rest] = name.split(VERSION_MARK);
  const named = rest.length === 0 ? undefined : rest.join(VERSION_MARK);
  const { version } = await catalog.serving(tenant, model, named);
  if (isFor(version, use)) return version;
  const { input, output } = MEMBERS[use];
  throw new ApiError(
    'invalid_request',
    `The model '${name.slice(0, 100)}' has no ${use}: expected a model with the input ${input.join(' and ')} and the output ${output}.`,
    { faults: [{ pointer: '/model', message: `has no ${use}` }] },
  );
}

/** The only model of a use, for a protocol whose requests name no model. Throws ApiError without or with several such models. */
export async function onlyTextModel(catalog: TextModels, tenant: string, use: TextUse): Promise<ModelVersion> {
  const found = await textModels(catalog, tenant, use);
  const [only] = found;
  if (only !== undefined && found.length === 1) return textModel(catalog, tenant, { name: only.model, use });
  if (only === undefined) throw new ApiError('model_not_found', `There is no model with ${use}.`);
  const names = found.slice(0, NAMES_MAX).map(({ model }) => model);
  throw new ApiError(
    'invalid_request',
    `There are ${found.length} models with ${use}: send the request to /tei/MODEL, with one of ${names.join(', ')}.`,
  );
}

/** The default versions of all models of a use, by name. */
export async function textModels(
  catalog: Pick<TextModels, 'models'>,
  tenant: string,
  use: TextUse,
): Promise<ModelVersion[]> {
  const { models } = await catalog.models(tenant);
  return models.flatMap(({ versions, defaultVersion }) => {
    const version = versions.find((one) => one.version === defaultVersion);
    return version !== undefined && version.state === 'ready' && isFor(version, use) ? [version] : [];
  });
}

function isFor({ inputSchema, outputSchema }: ModelVersion, use: TextUse): boolean {
  const { input, output } = MEMBERS[use];
  return input.every((name) => hasMember(inputSchema, name)) && hasMember(outputSchema, output);
}

/** The input of an embedding model for a text or token ids in the member `name`. Throws ApiError for a model without token ids. */
export function inputOf({ model, inputSchema }: ModelVersion, item: string | number[], name: string): unknown {
  if (typeof item === 'string') return { text: item };
  if (hasMember(inputSchema, 'token_ids')) return { token_ids: item };
  throw invalid(name, `has token ids, and the model '${model}' takes texts`, 'a string or a list of strings');
}

interface ObjectSchema {
  properties?: unknown;
  anyOf?: unknown;
}

/** Whether a JSON Schema of an object, or a form of a union of objects, has a member. */
function hasMember(schema: unknown, name: string): boolean {
  if (typeof schema !== 'object' || schema === null) return false;
  const { properties, anyOf }: ObjectSchema = schema;
  if (typeof properties === 'object' && properties !== null && Object.hasOwn(properties, name)) return true;
  return Array.isArray(anyOf) && anyOf.some((form) => hasMember(form, name));
}
