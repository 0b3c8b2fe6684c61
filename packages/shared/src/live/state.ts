/**
 * A prediction's live state as text: lib.lua says what it is made of. It is written here once, changed by the scripts, and
 * read here. The task is its last field.
 *
 * Since 0.1.0 the field of the time of creation also holds the number of the opening (`openingText`). A state of opening 0 is
 * byte for byte a state of 0.1.0. The scripts and the code of 0.1.0 carry the field through unchanged, and read the same time
 * from it.
 */

import { joinTexts, LONG_TEXT_BYTES, type LongText, type Text } from '../predictions/long-text.ts';
import { BULL_PRIORITY, type PredictionRecord, type Priority, type Status } from '../predictions/prediction.ts';
import { packDigest, unpackDigest } from '../redis/keys.ts';

/** Where the parts of the head begin; NUMBER is left to submit.lua, which gives it out. */
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

/** A status as the scripts write it. */
export const letterOf = (status: Status): string => status[0] as string;
export const statusOf = (letter: string): Status => STATUS[letter] ?? 'queued';

/** Unix milliseconds as the head holds them. */
export const msText = (ms: number | null): string =>
  ms === null ? NEVER : ms >= 1e12 ? String(ms) : String(ms).padStart(13, '0');

/** What runs a prediction, as wide as the head wants it. */
export function workerText(id: string): string {
  if (id.length > WORKER_ID_MAX) throw new RangeError(`A worker id has at most ${WORKER_ID_MAX} characters: '${id}'.`);
  return id.padEnd(WORKER_ID_MAX);
}

export interface StateTarget {
  model: string;
  version: string;
  digest: string;
}

/** A prediction about to enter the queue. */
export interface NewPrediction {
  id: string;
  createdAt: number;
  expiresAt: number | null;
  tenant: string;
  /** JSON text; '' for none. */
  metadata: string;
  /** JSON text of what else was asked (webhook, idempotency); '' for none. */
  options: string;
  /** Cache key (hex) under which identical questions share this computation; null to share with none. */
  flight: string | null;
  /** JSON text of the Task. */
  task: string;
  /** Rows of the task to compute; 1 if absent. */
  rows?: number;
  /** Attempts it has had already, where the reconciler brings it back. */
  attempts: number;
  /** 0, and one more for each retry. */
  opening: number;
  /** JSON text of its output where that is known: it is then terminal at once, and recorded like any other. */
  known: Text | null;
  /** Unix ms of a repeated submission. Its job gets an id of its own: the job before may still be there, with other ids. */
  resubmittedAt?: number;
}

/** A prediction as Redis knows it, with what its JSON does not show. */
export interface LivePrediction extends PredictionRecord {
  tenant: string;
  priority: number;
  options: string;
  leader: string | null;
  /** Number in its model's queue; null for a follower. */
  number: number | null;
  job: string;
  digest: string;
  /** Computed for its followers though it is itself terminal. */
  runsForFollowers: boolean;
  /** JSON text of the Task; '' where it is not needed any more. */
  task: string;
}

/** What of a new state is the same for all of its batch. */
export interface StateFrame {
  before: string;
  between: string;
  after: string;
}

/**
 * What stands behind the time of creation: nothing for opening 0, and for opening 12 `.00000012`. A number so small is less than
 * the precision of a double at such a time, so that `Number` and Lua's `tonumber` read the whole milliseconds alone.
 */
const openingText = (opening: number): string => (opening === 0 ? '' : `.000000${opening}`);

/** The number of the opening, of the text in which the time of creation stands. */
function openingIn(created: string): number {
  const point = created.indexOf('.');
  return point === -1 ? 0 : Number(created.slice(point + 7));
}

/** The number of the opening that a state belongs to. */
export function openingOf(state: string): number {
  const from = state.indexOf(SEPARATOR, HEAD) + 1;
  return openingIn(state.slice(from, state.indexOf(SEPARATOR, from)));
}

const count = (number: number): string => (number < 10 ? `0000${number}` : String(number).padStart(5, '0'));

export function stateFrame({ model, version, digest }: StateTarget, priority: Priority, job: string): StateFrame {
  const names = [model, version, packDigest(digest), job];
  return {
    before: `q${BULL_PRIORITY[priority]}0000`,
    between: `${NEVER}${' '.repeat(WORKER_ID_MAX)}${NEVER}`,
    after: `${SEPARATOR}${names.join(SEPARATOR)}${SEPARATOR}${SEPARATOR}`,
  };
}

/** The state of a new prediction, but for its number; `flight` is the flight's name, '' for none. */
export function newState(frame: StateFrame, item: NewPrediction, flight: string): string {
  const { createdAt, tenant, metadata, options, attempts, opening, expiresAt, task } = item;
  const first = `${flight}${SEPARATOR}${createdAt}${openingText(opening)}${SEPARATOR}${tenant}${frame.after}${metadata}${SEPARATOR}${options}`;
  const tries = count(attempts);
  // The scripts count bytes: Buffer.byteLength is worth its time only where the two can differ.
  const bytes = metadata === '' && options === '' ? first.length : Buffer.byteLength(first);
  return (
    `${frame.before}${tries}${tries}${msText(expiresAt)}${frame.between}${String(bytes).padStart(6, '0')}` +
    `${first}${SEPARATOR}${SEPARATOR}${SEPARATOR}${SEPARATOR}${task}`
  );
}

export const numberOrNull = (text: string | undefined): number | null => (text ? Number(text) : null);
const msOrNull = (text: string): number | null => (text === NEVER ? null : Number(text));

/** What a worker needs of a state that it took. */
export function takenOf(id: string, state: string) {
  const attempts = Number(state.slice(16, 21));
  const created = state.indexOf(SEPARATOR, HEAD) + 1;
  const tenant = state.indexOf(SEPARATOR, created) + 1;
  return {
    id,
    /** Fences the results: give it back with them. */
    attempt: attempts + 1,
    createdAt: Number(state.slice(created, tenant - 1)),
    tenant: state.slice(tenant, state.indexOf(SEPARATOR, tenant)),
    /** Executions before this one that ended with their worker. */
    lost: attempts - Number(state.slice(21, 26)),
    /** JSON text of the Task. */
    task: state.slice(state.lastIndexOf(SEPARATOR) + 1),
    state,
  };
}

export type Taken = ReturnType<typeof takenOf>;

export interface Finished {
  id: string;
  attempt: number;
  status: 'succeeded' | 'failed';
  /** JSON text of the output or of the error (a problem). */
  result: Text;
  startedAt: number;
  inferenceMs: number;
  batchSize: number;
  /** The state as it was taken, where it is known. */
  state?: string;
}

export interface Ending {
  nowMs: number;
  /** As `workerText` writes it. */
  worker: string;
}

/** How a result is told to finish.lua: nearly always as the state that it leads to, and what must still stand there now. */
export function finishTexts(item: Finished, { nowMs, worker }: Ending, inlineBytes: number): [string, string] {
  const { attempt, status, startedAt, inferenceMs, batchSize, state } = item;
  const result = String(item.result);
  if (state !== undefined && status === 'succeeded' && isPlain(state, nowMs)) {
    const ended = endedText({ item, state, nowMs, worker }, fieldsOf(state), result);
    if (ended.length * 3 <= inlineBytes || Buffer.byteLength(ended) <= inlineBytes)
      return [`+r${triesOf(item, state)}`, ended];
  }
  const run = `${inferenceMs.toFixed(3)}${SEPARATOR}${batchSize}`;
  return [`${count(attempt)}${letterOf(status)}${msText(startedAt)}${run}`, result];
}

/** What never changes: the length of the first ten fields, and the fields. Behind them stand three empty fields and the task. */
const fieldsOf = (state: string): string => state.slice(81, state.lastIndexOf(SEPARATOR) - 3);

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

/** All of the head but the length of the first ten fields. */
const endedHead = ({
  item,
  state,
  nowMs,
  worker,
}: Ending & { item: Omit<Finished, 'result'>; state: string }): string =>
  `${state.slice(0, 10)}s${triesOf(item, state)}${state.slice(21, 39)}${msText(item.startedAt)}${worker}${msText(nowMs)}`;

/** Stands in an event for a result that is too long for it: read the live state. */
export const LONG = '\x1e';

/** How a long success is told to place.lua. */
export interface PlacedEnd {
  text: LongText;
  /** What must stand in the head now; '' where there must be no state. */
  head: string;
  /** Where `head` begins in the head. */
  from: number;
  /** The state for the event: without metadata, options and the result. */
  short: string;
  flight: string;
}

/** Undefined where the state was not one that waited in the queue, without followers and within its deadline. */
export function plainEnd(item: Finished, { nowMs, worker }: Ending): PlacedEnd | undefined {
  const { status, state, result } = item;
  if (state === undefined || status !== 'succeeded' || !isPlain(state, nowMs)) return undefined;
  const fields = fieldsOf(state);
  const head = endedHead({ item, state, nowMs, worker });
  return { ...placedEnd(`${head}${fields}`, item, result), head: `r${triesOf(item, state)}`, from: NUMBER };
}

/** `first`: head and first ten fields of the state as it is to be. */
function placedEnd(first: string, run: RunTimes, result: Text): Omit<PlacedEnd, 'head' | 'from'> {
  const times = `${run.inferenceMs === null ? '' : run.inferenceMs.toFixed(3)}${SEPARATOR}${run.batchSize ?? ''}`;
  const named = first.slice(HEAD).split(SEPARATOR);
  const told = [...named.slice(0, METADATA), '', ''].join(SEPARATOR);
  const length = String(Buffer.byteLength(told)).padStart(6, '0');
  return {
    text: joinTexts([`${first}${SEPARATOR}${times}${SEPARATOR}`, result, SEPARATOR]),
    short: `${first.slice(0, HEAD - 6)}${length}${told}${SEPARATOR}${times}${SEPARATOR}${LONG}${SEPARATOR}`,
    flight: named[0] ?? '',
  };
}

export type RunTimes = Pick<LivePrediction, 'inferenceMs' | 'batchSize'>;

/** Head and first ten fields of a state as it stands in Redis. */
export interface StateBeginning {
  head: string;
  fields: string;
}

/** Undefined where these bytes have not all of the first ten fields; null for a state that nobody can read. */
export function beginningOf(bytes: Buffer): StateBeginning | null | undefined {
  const head = bytes.toString('utf8', 0, HEAD);
  if (!hasHead(head)) return null;
  const end = HEAD + Number(head.slice(81));
  return bytes.length < end ? undefined : { head, fields: bytes.toString('utf8', HEAD, end) };
}

/** Where the first ten fields of a state with this head end, in bytes. */
export const beginningBytes = (head: string): number => HEAD + Number(head.slice(81, HEAD));

/** What the beginning of a state tells of its place among others. */
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

/** A long success of a state that has `beginning` now, on its own account or (`attempts` one more) as a follower. */
export function successOf(
  { head, fields }: StateBeginning,
  run: RunTimes & { startedAt: number; attempts: number },
  { result, nowMs }: { result: Text; nowMs: number },
): PlacedEnd {
  const ended =
    `${head.slice(0, 10)}s${head.slice(11, 13)}0${head.slice(14, 16)}${count(run.attempts)}${head.slice(21, 39)}` +
    `${msText(run.startedAt)}${head.slice(52, 68)}${msText(nowMs)}${head.slice(81)}`;
  return { ...placedEnd(`${ended}${fields}`, run, result), head, from: 0 };
}

/** The end of a new prediction (`state`: as `newState` writes it) whose long output is known. */
export function knownEnd(state: string, result: Text, nowMs: number): PlacedEnd {
  const fields = state.slice(HEAD - NUMBER, state.lastIndexOf(SEPARATOR) - 3);
  const head = `${'0'.repeat(NUMBER)}s${state[1]}1000${state.slice(6, 29)}${NEVER}${state.slice(42, 58)}${msText(nowMs)}`;
  const run = { inferenceMs: null, batchSize: null };
  return { ...placedEnd(`${head}${state.slice(71, 77)}${fields}`, run, result), head: '', from: 0, flight: '' };
}

/** Place of the metadata among the first ten fields; the options are behind it. */
const METADATA = 8;

/** Whether a state was that of one that waits in the queue, without followers and within its deadline. */
const isPlain = (state: string, nowMs: number): boolean =>
  state[10] === 'q' && state.slice(12, 16) === '0000' && (msOrNull(state.slice(26, 39)) ?? nowMs + 1) > nowMs;

/** What the head of a terminal state tells of its end. */
export const endOf = (state: string) => ({
  status: statusOf(state[10] as string),
  attempts: Number(state.slice(16, 21)),
  startedAt: msOrNull(state.slice(39, 52)),
  completedAt: Number(state.slice(68, 81)),
});

/** Whether the beginning of a state has all of it but the task: while it waits or runs there is no result yet. */
export const wholeWithoutTask = (beginning: string): boolean =>
  /^[qr]/.test(beginning.slice(NUMBER)) &&
  HEAD + Number(beginning.slice(81, 87)) + 4 < Buffer.byteLength(beginning) - 4;

/** lib.lua has the same. */
const HEAD_FORM = /^\d{10}[qrsfce]\d[01]{4}\d{36}.{16}\d{19}/s;
const FIELDS = 14;

/** Whether the head of a state, or of the beginning of one, is as this version writes it. */
export const hasHead = (state: string): boolean => HEAD_FORM.test(state);

/** Undefined for a state that is unreadable: cut, damaged, or of a layout that this version does not know. */
export function readState(id: string, state: string): LivePrediction | undefined {
  if (!hasHead(state)) return undefined;
  let fields = 1;
  for (let at = state.indexOf(SEPARATOR, HEAD); at !== -1; at = state.indexOf(SEPARATOR, at + 1)) fields += 1;
  return fields === FIELDS ? parseState(id, state) : undefined;
}

/**
 * As `readState`, of the bytes of a state. A long result is not decoded and not copied: the prediction has the pieces that
 * hold it.
 */
export function readLongState(id: string, bytes: LongText): LivePrediction | undefined {
  const ends: number[] = [];
  for (let at = bytes.indexOf(SEPARATOR_BYTE, HEAD); at !== -1; at = bytes.indexOf(SEPARATOR_BYTE, at + 1))
    ends.push(at);
  const [before = 0, after = 0] = ends.slice(RESULT - 1);
  if (ends.length !== FIELDS - 1 || after - before <= LONG_TEXT_BYTES) return readState(id, bytes.toString());
  const state = readState(id, joinTexts([bytes.slice(0, before + 1), bytes.slice(after)]).toString());
  return state && { ...state, result: bytes.slice(before + 1, after) };
}

const SEPARATOR_BYTE = 0x1f;
/** Place of the result among the fields. */
const RESULT = 12;

/** Whether the beginning of a state has all of its result: the separator behind the result is there. */
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
    digest: unpackDigest(d ?? ''),
    runsForFollowers: state[13] === '1',
    task: i ?? '',
  };
}
