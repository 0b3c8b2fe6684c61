/** Reads live states: whole states, states in pieces, and the parts that a worker or a list needs. */
import { joinTexts, LONG_TEXT_BYTES, type LongText } from '../predictions/long-text.ts';
import type { PredictionState } from '../predictions/prediction-state.ts';
import { readOptions } from '../predictions/request-options.ts';
import type { StoredTask } from '../predictions/task.ts';
import { isTaskBytes } from '../predictions/task-bytes.ts';
import { unpackDigest } from '../redis/keys.ts';
import {
  FIELDS,
  fieldBytesOf,
  HEAD,
  hasHead,
  IN_LEDGER,
  isShared,
  ledgerOutputIn,
  METADATA,
  msOrNull,
  NUMBER,
  numberOrNull,
  openingIn,
  SEPARATOR,
  SEPARATOR_BYTE,
  statusOf,
} from './state-layout.ts';

/** A prediction as in Redis, with its place in the queue. */
export interface LivePrediction extends PredictionState {
  leader: string | null;
  /** The number in the queue of the model; null for a follower. */
  number: number | null;
  job: string;
  /** Whether a terminal prediction still runs for its followers. */
  runsForFollowers: boolean;
}

/** The number of the opening of a state. */
export function openingOf(state: string): number {
  const from = state.indexOf(SEPARATOR, HEAD) + 1;
  return openingIn(state.slice(from, state.indexOf(SEPARATOR, from)));
}

/** The position of the task; -1 for a state that ends before its task. The task may contain any bytes. */
export function taskAt(state: Pick<Buffer | LongText, 'indexOf'>, fieldBytes: number): number {
  let at = HEAD + fieldBytes;
  for (let separators = 0; separators < 4; separators += 1) {
    at = state.indexOf(SEPARATOR_BYTE, at) + 1;
    if (at === 0) return -1;
  }
  return at;
}

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

/** The parts of the end that are in the head of a terminal state. */
export const endOf = (state: string) => ({
  shared: isShared(state),
  status: statusOf(state[10] as string),
  attempts: Number(state.slice(16, 21)),
  startedAt: msOrNull(state.slice(39, 52)),
  completedAt: Number(state.slice(68, 81)),
});

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
  const isInLedger = state[NUMBER] === IN_LEDGER;
  const prediction: LivePrediction = {
    id,
    model: m ?? '',
    version: v ?? '',
    status: statusOf(state[10] as string),
    result: isInLedger ? '' : (r ?? ''),
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
  if (isInLedger) prediction.ledgerOutput = ledgerOutputIn(r ?? '');
  return prediction;
}
