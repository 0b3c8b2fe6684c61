/** Converts inputs with the handler of a version, in this thread (see named-inputs.ts) or in a handler thread. */
import { ApiError, type Fault } from '@millrace/shared/errors';
import type { Json } from '@millrace/shared/model-files/handler';
import { handlerFailure, placeIn } from '@millrace/shared/model-files/handler-fault';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { inputFault } from '@millrace/shared/tensors/input-error';
import { withPlainArrays } from '@millrace/shared/tensors/number-array';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import type { Logger } from 'pino';
import type { HandlerPool, HandlerSource, PoolResult } from '../handlers/handler-pool.ts';
import { summary } from '../http/validation.ts';
import type { CanonicalFormTimes } from './canonical-form-times.ts';
import { type Canonicalizer, type InputResult, inTurns, invalidInput, oneRow } from './canonical-input.ts';
import { notLoaded } from './handler-source.ts';
import type { NamedInputs } from './named-inputs.ts';

interface HandlerParams {
  handlers: HandlerPool;
  times: Pick<CanonicalFormTimes, 'took'>;
  log: Logger;
  version: ModelVersion;
  source: HandlerSource;
  named: NamedInputs;
}

/** The fault of the whole input. The request adds the place of the input. */
const ownFault = (message: string): Fault => ({ pointer: '', message });

export function handlerCanonicalizer({ version, source, named, handlers, times, log }: HandlerParams): Canonicalizer {
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
