/** Converts inputs of a model version to canonical rows, with the handler or, for raw tensors, with the signature. */
import { join } from 'node:path';
import type { Entity } from '@millrace/shared/entities/entity';
import { buildEntities } from '@millrace/shared/entities/entity-index';
import { ApiError, type Fault } from '@millrace/shared/errors';
import type { Json } from '@millrace/shared/model-files/handler';
import { handlerFailure, placeIn } from '@millrace/shared/model-files/handler-fault';
import {
  digestHandler,
  isHandlerOf,
  type VerifiedHandler,
  verifyHandler,
} from '@millrace/shared/model-files/handler-file';
import { isImageTask, readTaskFiles } from '@millrace/shared/model-files/task-files';
import type { GivenRow, Task } from '@millrace/shared/predictions/task';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { inputFault } from '@millrace/shared/tensors/input-error';
import { NumberArray, withPlainArrays } from '@millrace/shared/tensors/number-array';
import { tensorRow } from '@millrace/shared/tensors/tensor-bytes';
import { parseTensorInput } from '@millrace/shared/tensors/tensor-json';
import { rowCount, splitRows } from '@millrace/shared/tensors/tensor-rows';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import type { Logger } from 'pino';
import type { HandlerPool, HandlerSource, PoolResult } from '../handlers/handler-pool.ts';
import type { TaskSource } from '../handlers/messages.ts';
import { member, summary } from '../http/validation.ts';
import type { CanonicalFormTimes } from './canonical-form-times.ts';
import { NamedInputs } from './named-inputs.ts';

export interface CanonicalInput {
  /** How the output is assembled from the rows; see Task. */
  shape: Task['shape'];
  /** The canonical form of each row. */
  rows: GivenRow[];
}

export interface Caller {
  tenant: string;
  /** The most rows of one input. */
  maxRows: number;
}

/** The canonical rows of an input, or the error of the input with pointers into the input. */
export type InputResult = CanonicalInput | ApiError;

export interface Canonicalizer {
  /**
   * Converts inputs, in their order. Returns a promise only where a handler runs in a thread, or where the inputs are too many for
   * one turn of the event loop. Throws ApiError when no input can be converted.
   */
  convert(inputs: readonly unknown[], caller: Caller): InputResult[] | Promise<InputResult[]>;
  /** Releases the memory of the version. */
  release(): void;
}

export interface CanonicalizerDeps {
  modelsDir: string;
  /** The entities, without vectors, that the handler of a version reads. */
  entitiesOf(version: ModelVersion): Promise<Record<string, Entity[]>>;
  handlers: HandlerPool;
  images: ImageResolver;
  times: Pick<CanonicalFormTimes, 'took'>;
  log: Logger;
}

export async function createCanonicalizer(version: ModelVersion, deps: CanonicalizerDeps): Promise<Canonicalizer> {
  if (version.handlerDigest === null) return tensorCanonicalizer(version);
  const handler = await (version.config.task === undefined ? findHandler : findTaskFiles)(version, deps.modelsDir);
  const sets = await deps.entitiesOf(version);
  const source: HandlerSource = { key: version.digest, handler, entities: sets };
  await deps.handlers.load(source, version.tenant).catch((error: unknown) => {
    throw error instanceof ApiError ? error : notLoaded(version, error);
  });
  const named = new NamedInputs({
    ...('task' in handler ? {} : { handler }),
    entities: buildEntities(sets),
    sets: Object.keys(sets),
  });
  const canonicalizer = handlerCanonicalizer({ version, source, named, ...deps });
  return 'task' in handler && isImageTask(handler.task) ? withImages(canonicalizer, deps.images) : canonicalizer;
}

/** Replaces the URL or the file of an image by its bytes, before the handler sees the input. */
export interface ImageResolver {
  /** Returns the inputs with data URLs, in their order. An image that cannot be read is the ApiError of its input. */
  resolve(inputs: readonly unknown[], tenant: string): Promise<unknown[]>;
}

function withImages(canonicalizer: Canonicalizer, images: ImageResolver): Canonicalizer {
  return {
    async convert(inputs, caller) {
      const resolved = await images.resolve(inputs, caller.tenant);
      const readable = resolved.filter((input) => !(input instanceof ApiError));
      const converted = (readable.length === 0 ? [] : await canonicalizer.convert(readable, caller)).values();
      return resolved.map((input) => (input instanceof ApiError ? input : (converted.next().value as InputResult)));
    },
    release: () => canonicalizer.release(),
  };
}

/** The inputs of one turn of the event loop. 10,000 inputs in one turn would delay other requests by a tenth of a second. */
const INPUTS_AT_ONCE = 256;

/** Calls `run` for each item, for INPUTS_AT_ONCE items in one turn of the event loop. */
function inTurns<T, R>(items: readonly T[], run: (item: T) => R): R[] | Promise<R[]> {
  if (items.length <= INPUTS_AT_ONCE) return items.map(run);
  return (async () => {
    const results: R[] = [];
    for (const [at, item] of items.entries()) {
      if (at > 0 && at % INPUTS_AT_ONCE === 0) await new Promise(setImmediate);
      results.push(run(item));
    }
    return results;
  })();
}

interface HandlerParams extends Pick<CanonicalizerDeps, 'handlers' | 'times' | 'log'> {
  version: ModelVersion;
  source: HandlerSource;
  named: NamedInputs;
}

const invalidInput = (fault: Fault): ApiError =>
  new ApiError('invalid_input', fault.message, { faults: [fault], suggestions: fault.suggestions ?? [] });

/** The fault of the whole input. The request adds the place of the input. */
const ownFault = (message: string): Fault => ({ pointer: '', message });

const oneRow = (row: GivenRow): CanonicalInput => ({ shape: 'one', rows: [row] });

function handlerCanonicalizer({ version, source, named, handlers, times, log }: HandlerParams): Canonicalizer {
  const errorOf = (error: unknown): ApiError => {
    if (error instanceof ApiError) return error;
    const refused = inputFault(error);
    if (refused !== undefined) return invalidInput(refused);
    return handlerFailed(error instanceof Error ? error : new Error(String(error)));
  };
  const handlerFailed = (cause: Error): ApiError => {
    const { model, version: name } = version;
    log.error({ err: cause, model, version: name }, 'canonicalize of the handler failed');
    const place = placeIn(cause.stack ?? '', cause.message);
    const detail = handlerFailure({ stage: 'canonicalize', place }, version, cause.message);
    return new ApiError('handler_failed', detail, { cause, faults: [ownFault(detail)] });
  };
  const resultOf = (result: PoolResult, input: unknown): InputResult => {
    if ('row' in result) {
      if (named.isNamed(input)) named.ranInThread(result.ms);
      return oneRow(result.row);
    }
    if ('faults' in result) return new ApiError('invalid_request', summary(result.faults), { faults: result.faults });
    if ('refused' in result) return invalidInput(result.refused);
    if ('failed' in result) return handlerFailed(errorWith(result.failed, result.stack));
    const { model, version: name } = version;
    log.warn({ model, version: name, reason: result.timedOut }, 'canonicalize of the handler took too long');
    const detail = `canonicalize in the handler of version ${name} of model '${model}' took too long: ${result.timedOut}.`;
    return new ApiError('handler_timeout', detail, { faults: [ownFault(detail)] });
  };
  const here = (input: unknown, tenant: string): InputResult | Promise<InputResult> | undefined => {
    if (!named.runsHere || !named.isNamed(input)) return undefined;
    try {
      const { canonical, ms } = named.run(input);
      times.took(version, tenant, ms);
      if (canonical instanceof Promise) return canonical.then(rowOf, errorOf);
      return rowOf(canonical);
    } catch (error) {
      return errorOf(error);
    }
  };
  const rowOf = (canonical: Json): InputResult => {
    try {
      return oneRow(canonicalJson(canonical));
    } catch (error) {
      return errorOf(error);
    }
  };
  const inThread = async (inputs: readonly unknown[], tenant: string): Promise<InputResult[]> => {
    const results = await handlers.run(source, inputs, tenant).catch((error: unknown) => {
      throw error instanceof ApiError ? error : notLoaded(version, error);
    });
    return results.map((result, at) => {
      if (result.ms > 0) times.took(version, tenant, result.ms);
      return resultOf(result, inputs[at]);
    });
  };
  const many = async (inputs: readonly unknown[], tenant: string): Promise<InputResult[]> => {
    const results = await Promise.all(await inTurns(inputs, (input) => here(input, tenant)));
    const left = inputs.filter((_, at) => results[at] === undefined);
    const others = (left.length === 0 ? [] : await inThread(left, tenant)).values();
    return results.map((result) => result ?? (others.next().value as InputResult));
  };
  return {
    convert(given, { tenant }) {
      // A handler gets arrays as JSON.parse returns them.
      const inputs = given.map(withPlainArrays);
      if (inputs.length !== 1) return many(inputs, tenant);
      const result = here(inputs[0], tenant);
      if (result === undefined) return inThread(inputs, tenant);
      return result instanceof Promise ? result.then((one) => [one]) : [result];
    },
    release: () => handlers.forget(source.key),
  };
}

const errorWith = (message: string, stack: string): Error =>
  Object.assign(new Error(message), { stack: stack || message });

function tensorCanonicalizer({ signature, config }: ModelVersion): Canonicalizer {
  const convert = (input: unknown, maxRows: number): CanonicalInput | Promise<CanonicalInput> => {
    const given = config.rowIndependent ? givenRows(input, signature.inputs[0]?.name) : undefined;
    if (given !== undefined && given > maxRows) throw tooManyRows(given, maxRows);
    const tensors = parseTensorInput(signature.inputs, input);
    const rows = config.rowIndependent ? rowCount(tensors) : undefined;
    if (rows === undefined || rows <= 1) return oneRow(tensorRow(tensors));
    if (rows > maxRows) throw tooManyRows(rows, maxRows);
    const split = inTurns(splitRows(tensors), tensorRow);
    if (split instanceof Promise) return split.then((all) => ({ shape: 'tensors', rows: all }));
    return { shape: 'tensors', rows: split };
  };
  const attempt = (input: unknown, maxRows: number): InputResult | Promise<InputResult> => {
    try {
      return convert(input, maxRows);
    } catch (error) {
      if (error instanceof ApiError) return error;
      const refused = inputFault(error);
      if (refused === undefined) throw error;
      return invalidInput(refused);
    }
  };
  return {
    convert(inputs, { maxRows }) {
      if (inputs.length > INPUTS_AT_ONCE)
        return Promise.resolve(inTurns(inputs, (input) => attempt(input, maxRows))).then((all) => Promise.all(all));
      const results = inputs.map((input) => attempt(input, maxRows));
      return areReady(results) ? results : Promise.all(results);
    },
    release() {},
  };
}

const areReady = (results: readonly (InputResult | Promise<InputResult>)[]): results is InputResult[] =>
  results.every((result) => !(result instanceof Promise));

/** The first dimension of a tensor as sent, read before the elements; undefined if the dimension is not a number. */
function givenRows(input: unknown, name: string | undefined): number | undefined {
  const tensor = name === undefined ? undefined : member(input, name);
  if (Array.isArray(tensor)) return tensor.length;
  if (tensor instanceof NumberArray) return tensor.dims[0];
  const shape = member(tensor, 'shape');
  const rows: unknown = Array.isArray(shape) ? shape[0] : undefined;
  return typeof rows === 'number' ? rows : undefined;
}

/** Returns `invalid_request`, with a pointer to the input itself. */
export function tooManyRows(rows: number, maxRows: number): ApiError {
  const faults = [{ pointer: '', message: 'Too many rows', expected: `at most ${maxRows}`, got: String(rows) }];
  return new ApiError('invalid_request', `A prediction has at most ${maxRows} rows, and this prediction has ${rows}.`, {
    faults,
  });
}

/** Finds the files of a task in the models folder of this process. The files must have the digest of the registered files. */
async function findTaskFiles(version: ModelVersion, modelsDir: string): Promise<TaskSource> {
  const { config, model, version: name, handlerDigest, signature } = version;
  const folder = join(modelsDir, model, config.editOf ?? name);
  const files = config.task === undefined ? undefined : await readTaskFiles(folder, config.task).catch(() => undefined);
  if (files?.digest === handlerDigest && files !== undefined) return { ...files, names: signature };
  throw new ApiError(
    'model_unavailable',
    `This server does not have the files with which version ${name} of model '${model}' was registered: ` +
      `put the registered files (config.json, tokenizer.json and the others) back into the models folder, or give the new files a new version number.`,
    { retryAfterS: 5 },
  );
}

/** Finds the handler in the models folder of this process. The file must have the digest of the registered handler. */
async function findHandler(version: ModelVersion, modelsDir: string): Promise<VerifiedHandler> {
  const places = [
    join(modelsDir, version.model, version.config.editOf ?? version.version, 'handler.ts'),
    join(modelsDir, version.model, 'handler.ts'),
  ];
  for (const path of places) {
    const digests = await digestHandler(path).catch(() => null);
    if (digests !== null && version.handlerDigest !== null && isHandlerOf(digests, version.handlerDigest))
      return verifyHandler(path, version.handlerDigest);
  }
  throw new ApiError(
    'model_unavailable',
    `This server does not have the handler.ts with which version ${version.version} of model '${version.model}' was registered: ` +
      `put the registered files back into the models folder, or give the new files a new version number.`,
    { retryAfterS: 5 },
  );
}

function notLoaded({ model, version }: ModelVersion, error: unknown): ApiError {
  const why = error instanceof Error ? error.message : String(error);
  return new ApiError(
    'model_unavailable',
    `The handler of version ${version} of model '${model}' cannot be loaded: ${why.slice(0, 500)}`,
    { retryAfterS: 5, cause: error },
  );
}
