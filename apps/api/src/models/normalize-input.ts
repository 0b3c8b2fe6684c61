/** Normalizes the input of a request to canonical rows with their cache keys. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { cacheKey, cacheKeyInTurns } from '@millrace/shared/cache/cache-key';
import type { ErrorCode } from '@millrace/shared/error-table';
import { ApiError, problemOfRow } from '@millrace/shared/errors';
import type { RowError } from '@millrace/shared/predictions/row-errors';
import type { GivenRow, Task } from '@millrace/shared/predictions/task';
import { DEFAULT_TENANT } from '@millrace/shared/tenants/default-tenant';
import { summary } from '../http/validation.ts';
import { type CanonicalInput, type InputResult, tooManyRows } from './canonical-input.ts';
import { type ServedModel, under } from './catalog.ts';

export interface NormalizedInput {
  shape: Task['shape'];
  rows: GivenRow[];
  /** The cache key (hex) of each row. Empty if the request neither reads, shares nor stores results. */
  keys: string[];
  /**
   * A key of the caller's tenant only, on a model whose results all tenants share; absent for the default tenant. The key
   * holds the tenant's copies of shared results, and names the tenant's flights. The shared result is only an output, so
   * that no tenant sees a prediction of another tenant.
   */
  own?: string;
  /** The errors of invalid rows, for a request with `"on_error": "row"`. Absent for any other request. */
  errors?: RowError[];
}

export interface Inputs {
  input?: unknown;
  inputs?: readonly unknown[];
  /** `row`: an invalid row has its own error. Default: an invalid row refuses the request. */
  on_error?: 'fail' | 'row';
}

interface NormalizeOptions {
  tenant: string;
  maxRows: number;
  /** Whether the rows need cache keys. */
  keyed: boolean;
}

/** The row and the key of an invalid row, whose output is null. No result is stored under this key. */
const INVALID_ROW = 'null';
const INVALID_KEY = '0'.repeat(64);

/** Returns a promise only if the canonicalizer does, or if the input is large. Throws ApiError. */
export function normalizeInput(
  served: ServedModel,
  body: Inputs,
  options: NormalizeOptions,
): NormalizedInput | Promise<NormalizedInput> {
  const { tenant, maxRows } = options;
  const caller = { tenant, maxRows };
  if (body.inputs === undefined) {
    const results = served.canonicalizer.convert([body.input], caller);
    if (!(results instanceof Promise)) return single(served, options, results);
    return results.then((all) => single(served, options, all));
  }
  const finish = (shape: Task['shape'], rows: GivenRow[]): NormalizedInput | Promise<NormalizedInput> => {
    if (rows.length > maxRows) throw relocated('/inputs', tooManyRows(rows.length, maxRows));
    return withKeys(served, options, { shape, rows });
  };
  if (body.inputs.length > maxRows) return finish('list', new Array(body.inputs.length));
  const list = (results: readonly InputResult[]) => {
    if (body.on_error !== 'row') return finish('list', oneRowEach(results));
    const { rows, errors } = rowsOrErrors(results);
    const finished = finish('list', rows);
    return finished instanceof Promise
      ? finished.then((normalized) => withErrors(normalized, errors))
      : withErrors(finished, errors);
  };
  const results = served.canonicalizer.convert(body.inputs, caller);
  return results instanceof Promise ? results.then(list) : list(results);
}

/** The only input of a request. */
function single(
  served: ServedModel,
  options: NormalizeOptions,
  results: readonly InputResult[],
): NormalizedInput | Promise<NormalizedInput> {
  const result = results[0];
  if (result instanceof ApiError || result === undefined) throw relocated('/input', result);
  const { rows } = result;
  if (rows.length > options.maxRows) throw relocated('/input', tooManyRows(rows.length, options.maxRows));
  return withKeys(served, options, result);
}

/** Adds the keys to the rows, in the same turn for short rows. */
function withKeys(
  { version }: ServedModel,
  { tenant, keyed }: NormalizeOptions,
  { shape, rows }: CanonicalInput,
): NormalizedInput | Promise<NormalizedInput> {
  const { config, digest } = version;
  const isLong = lengthOf(rows) > LONG_ROW;
  if (!keyed) return isLong ? nextTurn({ shape, rows, keys: [] }) : { shape, rows, keys: [] };
  const scope = config.cache.scope === 'public' ? 'public' : `tenant ${tenant}`;
  const owner = scope === 'public' && tenant !== DEFAULT_TENANT ? { tenant, digest, isLong } : undefined;
  const first = rows[0];
  // Nearly every request.
  if (first !== undefined && rows.length === 1 && !isLong)
    return withOwnKey({ shape, rows, keys: [cacheKey({ scope, digest, row: first })] }, owner);
  return withManyKeys({ shape, rows }, { scope, digest, isLong, owner });
}

interface Owner {
  tenant: string;
  digest: string;
  isLong: boolean;
}

interface KeyParams {
  scope: string;
  digest: string;
  isLong: boolean;
  owner: Owner | undefined;
}

function withManyKeys(
  { shape, rows }: CanonicalInput,
  { scope, digest, isLong, owner }: KeyParams,
): NormalizedInput | Promise<NormalizedInput> {
  const finish = (keys: string[]) => withOwnKey({ shape, rows, keys }, owner);
  if (isLong)
    return nextTurn()
      .then(() => keysInTurns({ scope, digest, rows }))
      .then((keys) => nextTurn(finish(keys)));
  const keyOf = (row: GivenRow) => cacheKey({ scope, digest, row });
  if (rows.length > KEYS_AT_ONCE) return inParts(rows, keyOf).then(finish);
  return finish(rows.map(keyOf));
}

/** Adds the tenant's own key, for a tenant that shares results with others. */
function withOwnKey({ shape, rows, keys }: NormalizedInput, owner: Owner | undefined): NormalizedInput {
  if (owner === undefined) return { shape, rows, keys };
  const { tenant, digest, isLong } = owner;
  const [first] = rows;
  // The key of a long row stands for the row, because a second hash of the row costs as much as the first.
  const isShort = first !== undefined && shape === 'one' && rows.length === 1 && !isLong;
  const row = isShort ? first : `${shape} ${keys.join()}`;
  return { shape, rows, keys, own: cacheKey({ scope: `tenant ${tenant}`, digest, row }) };
}

/** From this number of characters or bytes on, the keys of the rows have their own turns of the event loop, apart from parsing and the task. */
const LONG_ROW = 1_048_576;

/** The keys of one turn of the event loop. */
const KEYS_AT_ONCE = 256;

/** The keys of long rows. A turn of the event loop hashes about LONG_ROW bytes, or a part of a very long row. */
async function keysInTurns({ rows, ...parts }: { scope: string; digest: string; rows: GivenRow[] }): Promise<string[]> {
  const keys: string[] = [];
  let bytes = 0;
  for (const [at, row] of rows.entries()) {
    if (bytes > LONG_ROW || (at > 0 && at % KEYS_AT_ONCE === 0)) {
      bytes = 0;
      await nextTurn();
    }
    bytes += row.length;
    keys.push(row.length > LONG_ROW ? await cacheKeyInTurns({ ...parts, row }) : cacheKey({ ...parts, row }));
  }
  return keys;
}

const lengthOf = (rows: readonly GivenRow[]): number =>
  rows.length === 1 ? (rows[0]?.length ?? 0) : rows.reduce((sum, { length }) => sum + length, 0);

async function inParts<T, R>(items: readonly T[], run: (item: T) => R): Promise<R[]> {
  const all: R[] = [];
  for (const [at, item] of items.entries()) {
    if (at > 0 && at % KEYS_AT_ONCE === 0) await new Promise(setImmediate);
    all.push(run(item));
  }
  return all;
}

/** The most faults of one response. */
const FAULTS_MAX = 100;

/** The row of each input. Throws ApiError with the faults of all invalid inputs. */
function oneRowEach(results: readonly InputResult[]): GivenRow[] {
  const rows: GivenRow[] = [];
  const errors: ApiError[] = [];
  for (const [at, result] of results.entries()) {
    const row = rowOf(result, at);
    if (row instanceof ApiError) errors.push(row);
    else rows.push(row);
  }
  const [first] = errors;
  if (first === undefined) return rows;
  // An error of the server or of the handler says more than the faults of other inputs.
  throw errors.find(({ code }) => !OF_INPUTS.has(code)) ?? combined(errors);
}

function withErrors(normalized: NormalizedInput, errors: RowError[]): NormalizedInput {
  const keys = [...normalized.keys];
  if (keys.length > 0) for (const { row } of errors) keys[row] = INVALID_KEY;
  return { ...normalized, keys, errors };
}

/** The row of each input, and the errors of invalid inputs. Throws ApiError when no input has a row, or when the server is at fault. */
function rowsOrErrors(results: readonly InputResult[]): { rows: GivenRow[]; errors: RowError[] } {
  const errors: RowError[] = [];
  const rows = results.map((result, at) => {
    const row = rowOf(result, at);
    if (!(row instanceof ApiError)) return row;
    if (!OF_ROWS.has(row.code)) throw row;
    const faults = row.faults.slice(0, ROW_FAULTS_MAX);
    errors.push({ row: at, error: problemOfRow(new ApiError(row.code, row.message.slice(0, DETAIL_MAX), { faults })) });
    return INVALID_ROW;
  });
  if (errors.length === results.length) oneRowEach(results);
  return { rows, errors };
}

/** The errors that concern one input and not the server. */
const OF_ROWS: ReadonlySet<ErrorCode> = new Set([
  'invalid_request',
  'invalid_input',
  'image_refused',
  'image_unavailable',
  'handler_failed',
  'handler_timeout',
]);
/** The errors that the sender of the input corrects. */
const OF_INPUTS: ReadonlySet<ErrorCode> = new Set(['invalid_request', 'invalid_input']);
const DETAIL_MAX = 1_000;
const ROW_FAULTS_MAX = 5;

/** The row of one of `inputs`, or its error with the place in the request. */
function rowOf(result: InputResult, at: number): GivenRow | ApiError {
  if (result instanceof ApiError) return relocated(`/inputs/${at}`, result);
  const [row] = result.rows;
  if (row !== undefined && result.rows.length === 1) return row;
  return new ApiError('invalid_request', 'Each of `inputs` is one row.', {
    faults: [
      {
        pointer: `/inputs/${at}`,
        message: 'Too many rows in one of `inputs`',
        expected: 'tensors whose first dimension is 1; or all rows in one `input`',
        got: `${result.rows.length} rows`,
      },
    ],
  });
}

/** One error for several invalid inputs. The code is the code of the first input. */
function combined(errors: readonly ApiError[]): ApiError {
  const [first] = errors as readonly [ApiError];
  if (errors.length === 1) return first;
  const faults = errors.flatMap((error) => error.faults).slice(0, FAULTS_MAX);
  const detail = `${first.message} (${errors.length} of the inputs are invalid)`;
  return new ApiError(first.code, detail, { faults, suggestions: first.suggestions });
}

/** The error of an input, with the place of the input in the request. */
function relocated(prefix: string, error: ApiError | undefined): ApiError {
  if (error === undefined) return new ApiError('internal', 'The input has no result. Send the request again.');
  if (error.faults.length === 0) return error;
  const { code, suggestions } = error;
  const faults = error.faults.map((fault) => under(prefix, fault));
  // The detail also names the place, so the detail is written again from the moved faults.
  const detail = code === 'invalid_request' ? summary(faults) : error.message;
  return new ApiError(code, detail, { faults, suggestions, cause: error.cause });
}

/** The key of a flight: the key of the only row, or a key over all rows. */
export function flightOf(input: NormalizedInput, digest: string, epoch: number): string {
  const key = input.errors === undefined ? flightOfRows(input, digest) : flightOfErrors(input, digest);
  return epoch === 0 ? key : `${epoch.toString(36)}-${key}`;
}

const flightOfRows = ({ own, shape, keys }: NormalizedInput, digest: string): string =>
  own ??
  (shape === 'one' && keys.length === 1
    ? (keys[0] as string)
    : cacheKey({ scope: `rows ${shape}`, digest, row: keys.join() }));

/** The result differs from the result without `on_error`, and has the errors of the invalid rows. */
const flightOfErrors = (input: NormalizedInput, digest: string): string =>
  cacheKey({ scope: 'rows on_error', digest, row: `${flightOfRows(input, digest)} ${JSON.stringify(input.errors)}` });
