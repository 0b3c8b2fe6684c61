/** Turns one input of a model version into canonical rows: by its handler, or as raw tensors by its signature. */
import { join } from 'node:path';
import { canonicalJson } from '@millrace/shared/canonical-json';
import { ApiError } from '@millrace/shared/errors';
import type { Entities, Handler, Json } from '@millrace/shared/handler';
import { digestHandler, importHandler } from '@millrace/shared/handler-file';
import type { ModelVersion } from '@millrace/shared/registry-types';
import type { Task } from '@millrace/shared/task';
import { parseTensorInput } from '@millrace/shared/tensor-json';
import { rowCount, splitRows, tensorRowText } from '@millrace/shared/tensor-rows';
import { checkerOf } from './schema-faults.ts';

export interface CanonicalInput {
  /** How the output is put together again; see Task. */
  shape: Task['shape'];
  /** Canonical text of each row. */
  rows: string[];
}

/** Throws ApiError or InputError with pointers into the input. A promise only where the handler needs one. */
export type Canonicalizer = (input: unknown) => CanonicalInput | Promise<CanonicalInput>;

export async function createCanonicalizer(
  version: ModelVersion,
  modelsDir: string,
  entitiesOf: (version: ModelVersion) => Promise<Entities>,
): Promise<Canonicalizer> {
  if (version.handlerDigest === null) return tensorCanonicalizer(version);
  const handler = await loadHandler(version, modelsDir);
  const context = { entities: await entitiesOf(version) };
  const check = checkerOf(handler.input);
  const one = (canonical: Json): CanonicalInput => ({ shape: 'one', rows: [canonicalJson(canonical)] });
  return (input) => {
    check(input);
    const canonical = handler.canonicalize(input, context);
    return canonical instanceof Promise ? canonical.then(one) : one(canonical);
  };
}

function tensorCanonicalizer({ signature, config }: ModelVersion): Canonicalizer {
  return (input) => {
    const tensors = parseTensorInput(signature.inputs, input);
    const rows = config.rowIndependent ? rowCount(tensors) : undefined;
    if (rows === undefined || rows <= 1) return { shape: 'one', rows: [tensorRowText(tensors)] };
    return { shape: 'tensors', rows: splitRows(tensors).map(tensorRowText) };
  };
}

/** The handler's code is this process's own copy, and must be the one that the digest was made with. */
async function loadHandler(version: ModelVersion, modelsDir: string): Promise<Handler> {
  const places = [
    join(modelsDir, version.model, version.version, 'handler.ts'),
    join(modelsDir, version.model, 'handler.ts'),
  ];
  for (const path of places) {
    const digest = await digestHandler(path).catch(() => null);
    if (digest !== null && digest === version.handlerDigest) return importHandler(path, digest);
  }
  throw new ApiError(
    'model_unavailable',
    `This server has no handler.ts of model '${version.model}' that is the one version ${version.version} was registered with.`,
    { retryAfterS: 5 },
  );
}
