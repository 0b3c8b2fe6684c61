/**
 * Runs a list of inputs as predictions of a few rows, several at a time. No turn of the event loop parses the outputs of all inputs, and
 * the rows of one request do not fill the queue before the rows of other requests.
 */
import { ERRORS, type ErrorCode } from '@millrace/shared/error-table';
import { ApiError, type Fault } from '@millrace/shared/errors';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { type DisconnectSignal, ResponseDisconnect } from '../http/client-disconnect.ts';
import type { RequestTrace } from '../http/request-trace.ts';
import type { CreatePrediction } from '../predictions/create-prediction.ts';
import type { Outcome } from '../predictions/outcome.ts';

export interface InputsRun {
  tenant: string;
  version: ModelVersion;
  inputs: readonly unknown[];
  /** Whether the request has a list of inputs, and not a single input. */
  listed: boolean;
  signal: DisconnectSignal;
  trace: RequestTrace | undefined;
}

/** Receives the output of an input. Throws ApiError for an output that the route cannot send. */
export type UseOutput = (output: unknown, at: number) => void;

/** The client has closed the connection. */
export class DisconnectedError extends Error {
  override name = 'DisconnectedError';
}

const ROWS_FIRST = 8;
const ROWS_MAX = 64;
const RUNS_AT_ONCE = 4;
/** The JSON of the outputs of one run, in characters. Parsing more would hold the event loop. */
const RUN_CHARS = 1_048_576;
const OUTPUT_CHARS_MAX = 2 * RUN_CHARS;
const WAIT_S = 60;
const NO_CONTROL = { noCache: false, noStore: false, onlyIfCached: false, maxAgeS: null } as const;

/** Resolves when `use` has received every output. Rejects with ApiError, or with DisconnectedError. */
export async function runInputs(createPrediction: CreatePrediction, run: InputsRun, use: UseOutput): Promise<void> {
  const { inputs, signal } = run;
  const waits = new Set<ResponseDisconnect>();
  // Each prediction needs its own signal, because a signal has only one listener.
  signal.listener = {
    gone() {
      for (const wait of waits) wait.abort();
    },
  };
  let next = 0;
  let rows = ROWS_FIRST;
  let failure: { error: unknown } | undefined;
  const runRows = async (from: number, count: number): Promise<void> => {
    const wait = new ResponseDisconnect();
    if (signal.aborted) wait.abort();
    waits.add(wait);
    const text = await resultOfRows({ part: inputs.slice(from, from + count), from, wait }).finally(() =>
      waits.delete(wait),
    );
    if (text.length > count * OUTPUT_CHARS_MAX) throw tooLong(count);
    const outputs = JSON.parse(text) as unknown;
    const list = count === 1 ? [outputs] : (outputs as unknown[]);
    for (const [at, output] of list.entries()) use(output, from + at);
    rows = Math.max(1, Math.min(ROWS_MAX, Math.floor((RUN_CHARS * count) / Math.max(1, text.length))));
  };
  const resultOfRows = async ({ part, from, wait }: Rows): Promise<string> => {
    try {
      return resultOf(await createPrediction(predictionOf(run, part, wait)), { ...run, from });
    } catch (error) {
      throw relocated(error, { ...run, from });
    }
  };
  const runAll = async (): Promise<void> => {
    while (next < inputs.length && failure === undefined) {
      const from = next;
      const count = Math.min(rows, inputs.length - from);
      next = from + count;
      await runRows(from, count).catch((error: unknown) => {
        failure ??= { error };
        for (const wait of waits) wait.abort();
      });
    }
  };
  await Promise.all(Array.from({ length: RUNS_AT_ONCE }, runAll));
  if (failure !== undefined) throw failure.error;
}

const predictionOf = (
  { tenant, version, trace }: InputsRun,
  part: unknown[],
  signal: DisconnectSignal,
): Parameters<CreatePrediction>[0] => ({
  tenant,
  model: version.model,
  version: version.version,
  body: part.length === 1 ? { input: part[0] } : { inputs: part },
  prefer: { waitS: WAIT_S, respondAsync: false },
  cacheControl: NO_CONTROL,
  idempotencyKey: undefined,
  signal,
  trace,
  ledgerless: true,
});

interface Rows {
  part: unknown[];
  /** The index of the first input of the prediction. */
  from: number;
  wait: ResponseDisconnect;
}

interface Place extends Pick<InputsRun, 'listed'> {
  /** The index of the first input of the prediction. */
  from: number;
}

/** The JSON text of the output, or of the list of outputs. Throws the error of a failed prediction. */
function resultOf(outcome: Outcome, place: Place): string {
  if (outcome.kind === 'disconnected') throw new DisconnectedError('the client has closed the connection');
  if (outcome.kind === 'accepted')
    throw new ApiError('expired', `The model did not respond within ${WAIT_S} s. Send the request again.`);
  if (outcome.kind === 'cached') {
    const { text } = outcome;
    // A short text has a byte in each character.
    const body = typeof text === 'string' ? Buffer.from(text, 'latin1').toString() : String(text);
    const { output }: { output: unknown } = JSON.parse(body);
    return JSON.stringify(output);
  }
  const { status, result } = outcome.record;
  if (status === 'succeeded') return String(result);
  const { code, detail, errors = [] } = JSON.parse(String(result)) as FailedPrediction;
  const faults = errors.map(({ pointer, message }): Fault => ({ pointer, message }));
  throw relocated(new ApiError(Object.hasOwn(ERRORS, code) ? code : 'inference_failed', detail, { faults }), place);
}

/** The `error` of a prediction that did not succeed. */
interface FailedPrediction {
  code: ErrorCode;
  detail: string;
  errors?: readonly { pointer: string; message: string }[];
}

function tooLong(count: number): ApiError {
  return new ApiError(
    'inference_failed',
    `${count} outputs of the model have more than ${OUTPUT_CHARS_MAX} characters each.`,
  );
}

const IN_PREDICTION = /^\/(?:input|inputs\/(\d+))(?=\/|$)/;

/** The error with the places of the request in place of the places of the prediction. Such a fault is never relocated twice. */
function relocated(error: unknown, { from, listed }: Place): unknown {
  if (!(error instanceof ApiError) || !error.faults.some(({ pointer }) => IN_PREDICTION.test(pointer))) return error;
  const [first] = error.faults.map((fault): Fault => {
    const at = from + Number(IN_PREDICTION.exec(fault.pointer)?.[1] ?? 0);
    return { ...fault, pointer: listed ? `input ${at}` : 'the input' };
  });
  const { message, expected, got } = first ?? { message: error.message };
  const more = [expected && `expected ${expected}`, got && `got ${got}`].filter(Boolean).join(', ');
  const said =
    error.code === 'invalid_request' || error.code === 'invalid_input'
      ? `${message}${more && ` (${more})`}`
      : error.message;
  return new ApiError(error.code, `${first?.pointer}: ${said}`, {
    faults: first === undefined ? [] : [first],
    ...(error.retryAfterS === undefined ? {} : { retryAfterS: error.retryAfterS }),
    cause: error.cause,
  });
}
