/** Converts an input of a model version to canonical rows, with the handler or, for raw tensors, with the signature. */
import { join } from 'node:path';
import type { Entities } from '@millrace/shared/entities/entity';
import { ApiError } from '@millrace/shared/errors';
import type { Handler, Json } from '@millrace/shared/model-files/handler';
import { digestHandler, importHandler, isHandlerOf } from '@millrace/shared/model-files/handler-file';
import type { Row, Task } from '@millrace/shared/predictions/task';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { NumberArray, withPlainArrays } from '@millrace/shared/tensors/number-array';
import type { TensorMap } from '@millrace/shared/tensors/tensor';
import { tensorRowBytes } from '@millrace/shared/tensors/tensor-bytes';
import { parseTensorInput } from '@millrace/shared/tensors/tensor-json';
import { rowCount, splitRows } from '@millrace/shared/tensors/tensor-rows';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import { checkerOf, member } from '../http/validation.ts';

export interface CanonicalInput {
  /** How the output is assembled from the rows; see Task. */
  shape: Task['shape'];
  /** The canonical form of each row. */
  rows: Row[];
}

/**
 * Throws ApiError or InputError with pointers into the input. Tensors of more than `maxRows` rows are refused before they are
 * split. Returns a promise only if the handler does, or if the rows are too many for one turn of the event loop.
 */
export type Canonicalizer = (input: unknown, maxRows: number) => CanonicalInput | Promise<CanonicalInput>;

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
  return (given) => {
    const input = withPlainArrays(given);
    check(input);
    const canonical = handler.canonicalize(input, context);
    return canonical instanceof Promise ? canonical.then(one) : one(canonical);
  };
}

/** The rows whose bytes are written in one turn of the event loop. */
const ROWS_AT_ONCE = 256;

function tensorCanonicalizer({ signature, config }: ModelVersion): Canonicalizer {
  return (input, maxRows) => {
    const given = config.rowIndependent ? givenRows(input, signature.inputs[0]?.name) : undefined;
    if (given !== undefined && given > maxRows) throw tooManyRows(given, maxRows);
    const tensors = parseTensorInput(signature.inputs, input);
    const rows = config.rowIndependent ? rowCount(tensors) : undefined;
    if (rows === undefined || rows <= 1) return { shape: 'one', rows: [tensorRowBytes(tensors)] };
    if (rows > maxRows) throw tooManyRows(rows, maxRows);
    if (rows > ROWS_AT_ONCE) return bytesInParts(splitRows(tensors)).then((all) => ({ shape: 'tensors', rows: all }));
    return { shape: 'tensors', rows: splitRows(tensors).map(tensorRowBytes) };
  };
}

/** The first dimension of a tensor as sent, read before the elements; undefined if the dimension is not a number. */
function givenRows(input: unknown, name: string | undefined): number | undefined {
  const tensor = name === undefined ? undefined : member(input, name);
  if (Array.isArray(tensor)) return tensor.length;
  if (tensor instanceof NumberArray) return tensor.dims[0];
  const shape = member(tensor, 'shape');
  const rows: unknown = Array.isArray(shape) ? shape[0] : undefined;
  return typeof rows === 'number' ? rows : undefined;
}

async function bytesInParts(rows: readonly TensorMap[]): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for (const [at, row] of rows.entries()) {
    if (at > 0 && at % ROWS_AT_ONCE === 0) await new Promise(setImmediate);
    all.push(tensorRowBytes(row));
  }
  return all;
}

/** Returns `invalid_request`, with a pointer to the input itself. */
export function tooManyRows(rows: number, maxRows: number): ApiError {
  const faults = [{ pointer: '', message: 'Too many rows', expected: `at most ${maxRows}`, got: String(rows) }];
  return new ApiError('invalid_request', `A prediction has at most ${maxRows} rows, and this prediction has ${rows}.`, {
    faults,
  });
}

/** Loads the handler from the models folder of this process. The file must have the digest of the registered handler. */
async function loadHandler(version: ModelVersion, modelsDir: string): Promise<Handler> {
  const places = [
    join(modelsDir, version.model, version.version, 'handler.ts'),
    join(modelsDir, version.model, 'handler.ts'),
  ];
  for (const path of places) {
    const digests = await digestHandler(path).catch(() => null);
    if (digests !== null && version.handlerDigest !== null && isHandlerOf(digests, version.handlerDigest))
      return importHandler(path, version.handlerDigest);
  }
  throw new ApiError(
    'model_unavailable',
    `This server does not have the handler.ts with which version ${version.version} of model '${version.model}' was registered: ` +
      `put the registered files back into the models folder, or give the new files a new version number.`,
    { retryAfterS: 5 },
  );
}
