/**
 * The live state of a prediction as text. lib.lua describes the layout. This file writes new states and reads states, and the
 * scripts change states. The task is the last field.
 *
 * After 0.1.0 the field of the time of creation also has the number of the opening (`openingText`). A state of opening 0 has the
 * same bytes as a state of 0.1.0. The scripts and the code of 0.1.0 do not change this field, and read the same time from the field.
 */

import { joinTexts, LONG_TEXT_BYTES, type LongText, type Text } from '../predictions/long-text.ts';
import { BULL_PRIORITY, type Priority, type Status } from '../predictions/prediction.ts';
import type { PredictionState } from '../predictions/prediction-state.ts';
import { addNumber, readOptions } from '../predictions/request-options.ts';
import type { StoredTask } from '../predictions/task.ts';
import { isTaskBytes } from '../predictions/task-bytes.ts';
import { packDigest, unpackDigest } from '../redis/keys.ts';

/** Bytes of the number, which submit.lua assigns, and of the whole head. */
const NUMBER = 10;
const HEAD = 87;
export const SEPARATOR = '\x1f';
const NEVER = '0000000000000';
export const WORKER_ID_MAX = 16;

const STATUS: Readonly<Record<string, Status>> = {
  q: 'queued',
  r: 'running',
  s: 'succeeded',
  f: 'failed',
  c: 'canceled',
  e: 'expired',
};

/** The letter of a status in the head. */
export const letterOf = (status: Status): string => status[0] as string;
export const statusOf = (letter: string): Status => STATUS[letter] ?? 'queued';

/** Unix milliseconds as 13 digits. */
export const msText = (ms: number | null): string =>
  ms === null ? NEVER : ms >= 1e12 ? String(ms) : String(ms).padStart(13, '0');

/** The id of a worker, padded to the width in the head. */
export function workerText(id: string): string {
  if (id.length > WORKER_ID_MAX) throw new RangeError(`A worker id has at most ${WORKER_ID_MAX} characters: '${id}'.`);
  return id.padEnd(WORKER_ID_MAX);
}

export interface StateTarget {
  model: string;
  version: string;
  digest: string;
}

/** A prediction that is to enter the queue. */
export interface NewPrediction {
  id: string;
  createdAt: number;
  expiresAt: number | null;
  tenant: string;
  /** JSON text; '' for none. */
  metadata: string;
  /** JSON text of the other options of the request (webhook, idempotency); '' for none. */
  options: string;
  /** The cache key (hex) by which equal requests share this computation; null for a computation that is not shared. */
  flight: string | null;
  task: StoredTask;
  /** Rows of the task to compute; 1 if absent. */
  rows?: number;
  /** Earlier attempts, if the reconciler restores the prediction. */
  attempts: number;
  /** 0, and one more for each retry. */
  opening: number;
  /** JSON text of a cached output. The prediction is then terminal at once, and is recorded like any other. Null for no output. */
  known: Text | null;
  /** Unix ms of a repeated submission. The job gets a new id, because an earlier job with other predictions can still exist. */
  resubmittedAt?: number;
}

/** A prediction as in Redis, with its place in the queue. */
export interface LivePrediction extends PredictionState {
  leader: string | null;
  /** The number in the queue of the model; null for a follower. */
  number: number | null;
  job: string;
  /** Whether a terminal prediction still runs for its followers. */
  runsForFollowers: boolean;
}

/** The parts of a new state that are the same for a whole batch. */
export interface StateFrame {
  before: string;
  between: string;
  after: string;
  nowMs: number;
}

/**
 * The text behind the time of creation: nothing for opening 0, and `.00000012` for opening 12. Such a small fraction is less than
 * the precision of a double at this time, so that `Number` and Lua's `tonumber` read only the whole milliseconds.
 */
const openingText = (opening: number): string => (opening === 0 ? '' : `.000000${opening}`);

/** The number of the opening. `created` is the field with the time of creation. */
function openingIn(created: string): number {
  const point = created.indexOf('.');
  return point === -1 ? 0 : Number(created.slice(point + 7));
}

/** The number of the opening of a state. */
export function openingOf(state: string): number {
  const from = state.indexOf(SEPARATOR, HEAD) + 1;
  return openingIn(state.slice(from, state.indexOf(SEPARATOR, from)));
}

const count = (number: number): string => (number < 10 ? `0000${number}` : String(number).padStart(5, '0'));

/** `nowMs` is the time at which the states enter the queue. */
export function stateFrame(
  { model, version, digest }: StateTarget,
  { priority, job, nowMs }: { priority: Priority; job: string; nowMs: number },
): StateFrame {
  const names = [model, version, packDigest(digest), job];
  return {
    before: `q${BULL_PRIORITY[priority]}0000`,
    between: `${NEVER}${' '.repeat(WORKER_ID_MAX)}${NEVER}`,
    after: `${SEPARATOR}${names.join(SEPARATOR)}${SEPARATOR}${SEPARATOR}`,
    nowMs,
  };
}

/** The state of a new prediction without its number. `flight` is the name of the flight, '' for none. */
export function newState(frame: StateFrame, item: NewPrediction, flight: string): string | Buffer {
  const text = stateText(frame, item, flight);
  const { task } = item;
  if (typeof task === 'string') return text + task;
  const length = Buffer.byteLength(text);
  const state = Buffer.allocUnsafe(length + task.length);
  state.write(text);
  task.copy(state, length);
  return state;
}

/** The state of a new prediction without its number and its task. */
export function stateText(frame: StateFrame, item: NewPrediction, flight: string): string {
  const { createdAt, tenant, metadata, attempts, opening, expiresAt, known } = item;
  const waited = frame.nowMs - createdAt;
  const options = waited > 0 && known === null ? addNumber(item.options, 'queued', waited) : item.options;
  const first = `${flight}${SEPARATOR}${createdAt}${openingText(opening)}${SEPARATOR}${tenant}${frame.after}${metadata}${SEPARATOR}${options}`;
  const tries = count(attempts);
  // The scripts count bytes. The length in characters is the same, and cheaper, where metadata and options are empty.
  const bytes = metadata === '' && item.options === '' ? first.length : Buffer.byteLength(first);
  return (
    `${frame.before}${tries}${tries}${msText(expiresAt)}${frame.between}${String(bytes).padStart(6, '0')}` +
    `${first}${SEPARATOR}${SEPARATOR}${SEPARATOR}${SEPARATOR}`
  );
}

export const numberOrNull = (text: string | undefined): number | null => (text ? Number(text) : null);
const msOrNull = (text: string): number | null => (text === NEVER ? null : Number(text));

const SEPARATOR_BYTE = 0x1f;

/** The position of the task; -1 for a state that ends before its task. The task may contain any bytes. */
export function taskAt(state: Pick<Buffer | LongText, 'indexOf'>, fieldBytes: number): number {
  let at = HEAD + fieldBytes;
  for (let separators = 0; separators < 4; separators += 1) {
    at = state.indexOf(SEPARATOR_BYTE, at) + 1;
    if (at === 0) return -1;
  }
  return at;
}

/** The bytes of the first ten fields, from a head. */
const fieldBytesOf = (head: string): number => Number(head.slice(81, HEAD));

/** The task in a state: text, or bytes that are not copied. */
const taskIn = (bytes: Buffer): StoredTask => (isTaskBytes(bytes) ? bytes : bytes.toString());

/** The parts of a state that a worker needs. Undefined for an unreadable state. */
export function takenOf(id: string, bytes: Buffer) {
  const from = taskAt(bytes, fieldBytesOf(bytes.toString('latin1', 0, HEAD)));
  if (from === -1) return undefined;
  const state = bytes.toString('utf8', 0, from);
  if (!isWhole(state)) return undefined;
  const attempts = Number(state.slice(16, 21));
  const created = state.indexOf(SEPARATOR, HEAD) + 1;
  const tenant = state.indexOf(SEPARATOR, created) + 1;
  return {
    id,
    /** The number of this attempt. The worker returns the number with the result, and Redis refuses the result of an older attempt. */
    attempt: attempts + 1,
    createdAt: Number(state.slice(created, tenant - 1)),
    tenant: state.slice(tenant, state.indexOf(SEPARATOR, tenant)),
    /** Earlier executions whose worker died. */
    lost: attempts - Number(state.slice(21, 26)),
    task: taskIn(bytes.subarray(from)),
    /** The state without its task. */
    state,
  };
}

export type Taken = NonNullable<ReturnType<typeof takenOf>>;

/** The parts of a waiting prediction's state that its JSON shows. Undefined for a state that does not wait in the queue. */
export function waitingOf(state: string) {
  if (state[10] !== 'q') return undefined;
  const fields = state.slice(HEAD, HEAD + Number(state.slice(81, HEAD))).split(SEPARATOR);
  return {
    priority: Number(state[11]),
    expiresAt: msOrNull(state.slice(26, 39)),
    opening: openingIn(fields[1] ?? ''),
    digest: unpackDigest(fields[5] ?? ''),
    metadata: fields[METADATA] ?? '',
    options: fields[METADATA + 1] ?? '',
  };
}

/** The trace context in the options of a state; undefined without a trace. */
export function traceOfState(state: string): string | undefined {
  // Most states have no trace, and need no parsing.
  if (!state.includes('"trace":"')) return undefined;
  const options = state.slice(HEAD).split(SEPARATOR)[METADATA + 1] ?? '';
  return readOptions(options).trace;
}

/** The attempt that a running state shows: a worker that takes this state replaces the attempt. */
export function previousAttemptOf(state: string): { attempt: number; workerId: string; startedAt: number } | undefined {
  const startedAt = msOrNull(state.slice(39, 52));
  const workerId = state.slice(52, 68).trimEnd();
  if (state[10] !== 'r' || startedAt === null || workerId === '') return undefined;
  return { attempt: Number(state.slice(16, 21)), workerId, startedAt };
}

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

/** Head and first ten fields of a state in Redis. */
export interface StateBeginning {
  head: string;
  fields: string;
}

/** Undefined if the bytes do not have the first ten fields; null for an unreadable state. */
export function beginningOf(bytes: Buffer): StateBeginning | null | undefined {
  const head = bytes.toString('utf8', 0, HEAD);
  if (!hasHead(head)) return null;
  const end = HEAD + Number(head.slice(81));
  return bytes.length < end ? undefined : { head, fields: bytes.toString('utf8', HEAD, end) };
}

/** Bytes of the head and the first ten fields of a state with this head. */
export const beginningBytes = (head: string): number => HEAD + Number(head.slice(81, HEAD));

/** Status, attempt, deadline, tenant, leader and followers of a state. */
export function placeOf({ head, fields }: StateBeginning) {
  const [, , tenant = '', , , , , leader = ''] = fields.split(SEPARATOR);
  return {
    status: statusOf(head[10] as string),
    runsForFollowers: head[13] === '1',
    hadFollowers: head[14] === '1',
    follows: head[15] === '1' ? leader : null,
    attempt: Number(head.slice(16, 21)),
    expiresAt: msOrNull(head.slice(26, 39)),
    tenant,
  };
}

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

/** Index of the metadata in the first ten fields. The options are the next field. */
const METADATA = 8;

/** Whether the prediction waited in the queue, had no followers, and is within its deadline. */
const isPlain = (state: string, nowMs: number): boolean =>
  state[10] === 'q' && state.slice(12, 16) === '0000' && (msOrNull(state.slice(26, 39)) ?? nowMs + 1) > nowMs;

const isShared = (state: string): boolean => state[15] === '1';

/** The parts of the end that are in the head of a terminal state. */
export const endOf = (state: string) => ({
  shared: isShared(state),
  status: statusOf(state[10] as string),
  attempts: Number(state.slice(16, 21)),
  startedAt: msOrNull(state.slice(39, 52)),
  completedAt: Number(state.slice(68, 81)),
});

/** The form of every head. lib.lua has the same form. */
const HEAD_FORM = /^\d{10}[qrsfce]\d[01]{4}\d{36}.{16}\d{19}/s;
const FIELDS = 14;

/** Whether a state, or the beginning of a state, has a head of the current layout. */
export const hasHead = (state: string): boolean => HEAD_FORM.test(state);

/** Undefined for an unreadable state: truncated, damaged, or of an unknown layout. */
export function readState(id: string, bytes: Buffer): LivePrediction | undefined {
  const from = taskFrom(bytes);
  if (from === undefined) return undefined;
  const task = taskIn(bytes.subarray(from));
  // A state with a separator in its text is damaged.
  if (typeof task === 'string' && task.includes(SEPARATOR)) return undefined;
  const text = bytes.toString('utf8', 0, from);
  return isWhole(text) ? { ...parseState(id, text), task } : undefined;
}

/** As `readState`, for a state of text, such as a success in a stream. */
export function readStateText(id: string, state: string): LivePrediction | undefined {
  return hasHead(state) && isWhole(state) ? parseState(id, state) : undefined;
}

/** Whether a state without its task, or with a task of text, has all its fields. */
function isWhole(text: string): boolean {
  let fields = 1;
  for (let at = text.indexOf(SEPARATOR, HEAD); at !== -1; at = text.indexOf(SEPARATOR, at + 1)) fields += 1;
  return fields === FIELDS;
}

function taskFrom(bytes: Buffer): number | undefined {
  const head = bytes.toString('latin1', 0, HEAD);
  if (!hasHead(head)) return undefined;
  const from = taskAt(bytes, fieldBytesOf(head));
  return from === -1 ? undefined : from;
}

/**
 * Reads the beginning of a prediction that waits or runs, without its task. Undefined if the beginning does not have all fields before
 * the task, and for a prediction that has ended.
 */
export function readOpenBeginning(id: string, bytes: Buffer): LivePrediction | undefined {
  if (bytes[NUMBER] !== QUEUED && bytes[NUMBER] !== RUNNING) return undefined;
  const from = taskFrom(bytes);
  const text = from === undefined ? '' : bytes.toString('utf8', 0, from);
  return isWhole(text) ? parseState(id, text) : undefined;
}

const [QUEUED, RUNNING] = [0x71, 0x72];

/**
 * As `readState`, but for the pieces of a state. A long result is not decoded and not copied: the prediction has the pieces of the
 * result.
 */
export function readLongState(id: string, bytes: LongText): LivePrediction | undefined {
  const head = bytes.slice(0, HEAD).toString();
  const from = hasHead(head) ? taskAt(bytes, fieldBytesOf(head)) : -1;
  if (from === -1) return undefined;
  let at = HEAD + fieldBytesOf(head);
  // Two separators are before the inference time and the batch size, and the third is before the result.
  for (let separators = 0; separators < 3; separators += 1) at = bytes.indexOf(SEPARATOR_BYTE, at) + 1;
  const end = from - 1;
  if (end - at <= LONG_TEXT_BYTES) return readState(id, bytesOf(bytes));
  const state = readState(id, bytesOf(joinTexts([bytes.slice(0, at), bytes.slice(end)])));
  return state && { ...state, result: bytes.slice(at, end) };
}

const bytesOf = ({ pieces, length }: LongText): Buffer =>
  pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces, length);

/** Whether the beginning of a state has the whole result and the separator behind the result. */
export function resultIsWhole(beginning: string): boolean {
  let at = HEAD - 1;
  for (let separators = 0; separators < 13; separators += 1) {
    at = beginning.indexOf(SEPARATOR, at + 1);
    if (at < 0) return false;
  }
  return true;
}

export function parseState(id: string, state: string): LivePrediction {
  const [, t, n, m, v, d, j, l, k, o, im, bs, r, i] = state.slice(HEAD).split(SEPARATOR);
  const number = Number(state.slice(0, NUMBER));
  return {
    id,
    model: m ?? '',
    version: v ?? '',
    status: statusOf(state[10] as string),
    result: r ?? '',
    createdAt: Number(t),
    opening: openingIn(t ?? ''),
    startedAt: msOrNull(state.slice(39, 52)),
    completedAt: msOrNull(state.slice(68, 81)),
    expiresAt: msOrNull(state.slice(26, 39)),
    attempts: Number(state.slice(16, 21)),
    metadata: k ?? '',
    inferenceMs: numberOrNull(im),
    batchSize: numberOrNull(bs),
    tenant: n ?? '',
    priority: Number(state[11]),
    options: o ?? '',
    leader: l || null,
    number: number === 0 ? null : number,
    job: j ?? '',
    workerId: state.slice(52, 68).trimEnd() || null,
    digest: unpackDigest(d ?? ''),
    shared: isShared(state),
    runsForFollowers: state[13] === '1',
    task: i ?? '',
  };
}
