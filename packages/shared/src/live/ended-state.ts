/** Writes the states of predictions that ended with a result. */
import { joinTexts, type LongText, type Text } from '../predictions/long-text.ts';
import type { LedgerOutput } from '../predictions/prediction-state.ts';
import { addNumber } from '../predictions/request-options.ts';
import type { LivePrediction, StateBeginning } from './state.ts';
import {
  count,
  HEAD,
  IN_LEDGER,
  ledgerOutputText,
  letterOf,
  METADATA,
  msOrNull,
  msText,
  NEVER,
  NUMBER,
  SEPARATOR,
} from './state-layout.ts';

export interface Finished {
  id: string;
  attempt: number;
  status: 'succeeded' | 'failed';
  /** JSON text of the output or of the error (a problem). */
  result: Text;
  startedAt: number;
  /** The time at which the run was assembled. */
  batchedAt: number;
  inferenceMs: number;
  batchSize: number;
  /** The state that the worker took, without its task, if known. */
  state?: string;
}

export interface Ending {
  nowMs: number;
  /** The padded id of the worker (`workerText`). */
  worker: string;
}

/** The two arguments of finish.lua for a result: in nearly every case the expected head and the new state. */
export function finishTexts(item: Finished, { nowMs, worker }: Ending, inlineBytes: number): [string, string] {
  const { attempt, status, startedAt, inferenceMs, batchSize, state } = item;
  const result = String(item.result);
  if (state !== undefined && status === 'succeeded' && isPlain(state, nowMs)) {
    const ended = endedText({ item, state, nowMs, worker }, fieldsOf(state, item), result);
    if (ended.length * 3 <= inlineBytes || Buffer.byteLength(ended) <= inlineBytes)
      return [`+r${triesOf(item, state)}`, ended];
  }
  const run = `${inferenceMs.toFixed(3)}${SEPARATOR}${batchSize}${SEPARATOR}${batchedText(item)}`;
  return [`${count(attempt)}${letterOf(status)}${msText(startedAt)}${run}`, result];
}

/** The parts that never change: the length of the first ten fields and these fields. Three empty fields and the task follow. */
const firstFields = (state: string): string => state.slice(81, state.lastIndexOf(SEPARATOR) - 3);

/** As `firstFields`, with the time of the run. */
const fieldsOf = (state: string, item: RunStart): string => withBatched(firstFields(state), batchedMs(item));

/** Adds the time of the run to the options, which are the last of the first ten fields. The length is before the fields. */
function withBatched(fields: string, ms: number | null): string {
  if (ms === null) return fields;
  const at = fields.lastIndexOf(SEPARATOR) + 1;
  const options = addNumber(fields.slice(at), 'batched', ms);
  const bytes = Number(fields.slice(0, 6)) + options.length - (fields.length - at);
  return `${String(bytes).padStart(6, '0')}${fields.slice(6, at)}${options}`;
}

type RunStart = Pick<Finished, 'startedAt' | 'batchedAt'>;

export const batchedMs = ({ startedAt, batchedAt }: RunStart): number => Math.max(0, batchedAt - startedAt);

/** The time of the run, as the scripts get this time. */
export const batchedText = (item: RunStart): string => String(batchedMs(item));

const triesOf = ({ attempt }: Pick<Finished, 'attempt'>, state: string): string => `${state[11]}1000${count(attempt)}`;

function endedText(
  { item, state, nowMs, worker }: Ending & { item: Omit<Finished, 'result'>; state: string },
  fields: string,
  result: string,
): string {
  const run = `${item.inferenceMs.toFixed(3)}${SEPARATOR}${item.batchSize}`;
  const head = endedHead({ item, state, nowMs, worker });
  return `${head}${fields}${SEPARATOR}${run}${SEPARATOR}${result}${SEPARATOR}`;
}

/** The head without the length of the first ten fields. */
const endedHead = ({
  item,
  state,
  nowMs,
  worker,
}: Ending & { item: Omit<Finished, 'result'>; state: string }): string =>
  `${state.slice(0, 10)}s${triesOf(item, state)}${state.slice(21, 39)}${msText(item.startedAt)}${worker}${msText(nowMs)}`;

/** Replaces a long result in an event: read the live state. */
export const LONG = '\x1e';

/** The arguments of place.lua for a long success. */
export interface PlacedEnd {
  text: LongText;
  /** The expected part of the head; '' if there must be no state. */
  head: string;
  /** The position of `head` in the head. */
  from: number;
  /** The state for the event: without metadata, options and the result. */
  short: string;
  flight: string;
}

/** Undefined unless the prediction waited in the queue, had no followers, and is within its deadline. */
export function plainEnd(item: Finished, { nowMs, worker }: Ending): PlacedEnd | undefined {
  const { status, state, result } = item;
  if (state === undefined || status !== 'succeeded' || !isPlain(state, nowMs)) return undefined;
  const fields = fieldsOf(state, item);
  const head = endedHead({ item, state, nowMs, worker });
  return { ...placedEnd(`${head}${fields}`, item, result), head: `r${triesOf(item, state)}`, from: NUMBER };
}

/** As `plainEnd`, for a success whose output is in the ledger: the state has the length and the checksum of the output. */
export function ledgerEnd(item: Finished, ending: Ending, output: LedgerOutput): PlacedEnd | undefined {
  const end = plainEnd({ ...item, result: ledgerOutputText(output) }, ending);
  if (end === undefined) return undefined;
  const state = end.text.toString();
  return { ...end, text: joinTexts([`${state.slice(0, NUMBER)}${IN_LEDGER}${state.slice(NUMBER + 1)}`]) };
}

/** `first` has the head and the first ten fields of the new state. */
function placedEnd(first: string, run: RunTimes, result: Text): Omit<PlacedEnd, 'head' | 'from'> {
  const times = `${run.inferenceMs === null ? '' : run.inferenceMs.toFixed(3)}${SEPARATOR}${run.batchSize ?? ''}`;
  const named = first.slice(HEAD).split(SEPARATOR);
  const fields = [...named.slice(0, METADATA), '', ''].join(SEPARATOR);
  const length = String(Buffer.byteLength(fields)).padStart(6, '0');
  return {
    text: joinTexts([`${first}${SEPARATOR}${times}${SEPARATOR}`, result, SEPARATOR]),
    short: `${first.slice(0, HEAD - 6)}${length}${fields}${SEPARATOR}${times}${SEPARATOR}${LONG}${SEPARATOR}`,
    flight: named[0] ?? '',
  };
}

export type RunTimes = Pick<LivePrediction, 'inferenceMs' | 'batchSize'>;

/** The run of a success: for a follower, the run of the leader. */
export interface SuccessfulRun extends RunTimes {
  startedAt: number;
  /** Ms from the start to the run; null if unknown. */
  batchedMs: number | null;
  /** The padded id of the worker. */
  worker: string;
}

/** The arguments of place.lua for a state with this beginning. `attempts` of a follower is one more than before. */
export function successOf(
  { head, fields }: StateBeginning,
  run: SuccessfulRun & { attempts: number },
  { result, nowMs }: { result: Text; nowMs: number },
): PlacedEnd {
  const ended =
    `${head.slice(0, 10)}s${head.slice(11, 13)}0${head.slice(14, 16)}${count(run.attempts)}${head.slice(21, 39)}` +
    `${msText(run.startedAt)}${run.worker}${msText(nowMs)}`;
  const first = withBatched(`${head.slice(81)}${fields}`, run.batchedMs);
  return { ...placedEnd(`${ended}${first}`, run, result), head, from: 0 };
}

/** The arguments of place.lua for a new prediction whose long output is cached. `state` is the result of `stateText`. */
export function knownEnd(state: string, result: Text, nowMs: number): PlacedEnd {
  const fields = state.slice(HEAD - NUMBER, state.lastIndexOf(SEPARATOR) - 3);
  const head = `${'0'.repeat(NUMBER)}s${state[1]}1000${state.slice(6, 29)}${NEVER}${state.slice(42, 58)}${msText(nowMs)}`;
  const run = { inferenceMs: null, batchSize: null };
  return { ...placedEnd(`${head}${state.slice(71, 77)}${fields}`, run, result), head: '', from: 0, flight: '' };
}

/** Whether the prediction waited in the queue, had no followers, and is within its deadline. */
const isPlain = (state: string, nowMs: number): boolean =>
  state[10] === 'q' && state.slice(12, 16) === '0000' && (msOrNull(state.slice(26, 39)) ?? nowMs + 1) > nowMs;
