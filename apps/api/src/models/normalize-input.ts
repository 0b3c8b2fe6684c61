/** Normalizes the input of a request to canonical rows with their cache keys. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { cacheKey } from '@millrace/shared/cache/cache-key';
import { ApiError } from '@millrace/shared/errors';
import type { Row, Task } from '@millrace/shared/predictions/task';
import { DEFAULT_TENANT } from '@millrace/shared/tenants/default-tenant';
import { InputError } from '@millrace/shared/tensors/input-error';
import { summary } from '../http/validation.ts';
import { type CanonicalInput, tooManyRows } from './canonicalizer.ts';
import { type ServedModel, under } from './catalog.ts';

export interface NormalizedInput {
  shape: Task['shape'];
  rows: Row[];
  /** The cache key (hex) of each row. Empty if the request neither reads, shares nor stores results. */
  keys: string[];
  /**
   * A key of the caller's tenant only, on a model whose results all tenants share; absent for the default tenant. The key
   * holds the tenant's copies of shared results, and names the tenant's flights. The shared result is only an output, so
   * that no tenant sees a prediction of another tenant.
   */
  own?: string;
}

export interface Inputs {
  input?: unknown;
  inputs?: readonly unknown[];
}

/** Returns a promise only if the canonicalizer does, or if the input is large. Throws ApiError. */
export function normalizeInput(
  served: ServedModel,
  tenant: string,
  body: Inputs,
  maxRows: number,
  keyed: boolean,
): NormalizedInput | Promise<NormalizedInput> {
  const finish = (shape: Task['shape'], rows: Row[]): NormalizedInput | Promise<NormalizedInput> => {
    if (rows.length > maxRows) throw relocated(body.inputs ? '/inputs' : '/input', tooManyRows(rows.length, maxRows));
    const { config, digest } = served.version;
    const scope = config.cache.scope === 'public' ? 'public' : `tenant ${tenant}`;
    const keyOf = (row: Row) => cacheKey({ scope, digest, row });
    const withKeys = (keys: string[]): NormalizedInput => {
      if (scope !== 'public' || tenant === DEFAULT_TENANT) return { shape, rows, keys };
      const row = shape === 'one' && rows.length === 1 ? (rows[0] as Row) : `${shape} ${keys.join()}`;
      return { shape, rows, keys, own: cacheKey({ scope: `tenant ${tenant}`, digest, row }) };
    };
    const long = (rows[0]?.length ?? 0) > LONG_ROW;
    if (!keyed) return long ? nextTurn({ shape, rows, keys: [] }) : { shape, rows, keys: [] };
    if (long)
      return nextTurn()
        .then(() => inParts(rows, keyOf))
        .then((keys) => nextTurn(withKeys(keys)));
    if (rows.length > INPUTS_AT_ONCE) return inParts(rows, keyOf).then(withKeys);
    return withKeys(rows.map(keyOf));
  };
  if (body.inputs === undefined) {
    const canonical = located('/input', () => served.canonicalizer(body.input, maxRows));
    if (canonical instanceof Promise) return canonical.then(({ shape, rows }) => finish(shape, rows));
    return finish(canonical.shape, canonical.rows);
  }
  if (body.inputs.length > maxRows) return finish('list', new Array(body.inputs.length));
  const canonicalOf = (input: unknown, at: number) =>
    located(`/inputs/${at}`, () => served.canonicalizer(input, maxRows));
  if (body.inputs.length > INPUTS_AT_ONCE)
    return inParts(body.inputs, canonicalOf).then((every) => finish('list', oneRowEach(every)));
  const all = body.inputs.map(canonicalOf);
  if (allReady(all)) return finish('list', oneRowEach(all));
  return Promise.all(all).then((every) => finish('list', oneRowEach(every)));
}

/** From this number of characters or bytes on, the key of a row has its own turn of the event loop, apart from parsing and the task. */
const LONG_ROW = 1_048_576;

/** The inputs of one turn of the event loop. 10,000 inputs in one turn would delay other requests by a tenth of a second. */
const INPUTS_AT_ONCE = 256;

async function inParts<T, R>(items: readonly T[], run: (item: T, at: number) => R | Promise<R>): Promise<R[]> {
  const all: R[] = [];
  for (const [at, item] of items.entries()) {
    if (at > 0 && at % INPUTS_AT_ONCE === 0) await new Promise(setImmediate);
    const result = run(item, at);
    all.push(result instanceof Promise ? await result : result);
  }
  return all;
}

const allReady = (inputs: readonly (CanonicalInput | Promise<CanonicalInput>)[]): inputs is CanonicalInput[] =>
  inputs.every((input) => !(input instanceof Promise));

function oneRowEach(inputs: readonly CanonicalInput[]): Row[] {
  return inputs.map(({ rows }, at) => {
    const [row] = rows;
    if (row !== undefined && rows.length === 1) return row;
    throw new ApiError('invalid_request', 'Each of `inputs` is one row.', {
      faults: [
        {
          pointer: `/inputs/${at}`,
          message: 'Too many rows in one of `inputs`',
          expected: 'tensors whose first dimension is 1; or all rows in one `input`',
          got: `${rows.length} rows`,
        },
      ],
    });
  });
}

/** Runs a canonicalizer. Its errors receive their place in the request. */
function located<T>(prefix: string, run: () => T | Promise<T>): T | Promise<T> {
  try {
    const result = run();
    return result instanceof Promise
      ? result.catch((error) => {
          throw relocated(prefix, error);
        })
      : result;
  } catch (error) {
    throw relocated(prefix, error);
  }
}

// A handler can have its own copy of the class, so the name decides.
const isInputError = (error: unknown): error is InputError =>
  error instanceof InputError || (error instanceof Error && error.name === 'InputError');

function relocated(prefix: string, error: unknown): unknown {
  if (isInputError(error)) {
    const { pointer, message, expected, got, suggestions } = error;
    const fault = { pointer, message, ...(expected ? { expected } : {}), ...(got ? { got } : {}) };
    const faults = [under(prefix, { ...fault, ...(suggestions.length > 0 ? { suggestions } : {}) })];
    return new ApiError('invalid_input', message, { faults, suggestions });
  }
  if (error instanceof ApiError && error.faults.length > 0) {
    const faults = error.faults.map((fault) => under(prefix, fault));
    // The detail also names the place, so the detail is written again from the moved faults.
    const detail = error.code === 'invalid_request' ? summary(faults) : error.message;
    return new ApiError(error.code, detail, { faults, suggestions: error.suggestions });
  }
  return error;
}

/** The key of a flight: the key of the only row, or a key over all rows. */
export function flightOf(plan: NormalizedInput, digest: string, epoch: number): string {
  const key =
    plan.own ??
    (plan.shape === 'one' && plan.keys.length === 1
      ? (plan.keys[0] as string)
      : cacheKey({ scope: `rows ${plan.shape}`, digest, row: plan.keys.join() }));
  return epoch === 0 ? key : `${epoch.toString(36)}-${key}`;
}
