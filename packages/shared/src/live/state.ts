/**
 * A prediction's live state as text: lib.lua says what it is made of. It is written here once, changed by the scripts, and
 * read here. The task is its last field.
 *
 * Since 0.1.0 the field of the time of creation also holds the number of the opening (`openingText`). A state of opening 0 is
 * byte for byte a state of 0.1.0. The scripts and the code of 0.1.0 carry the field through unchanged, and read the same time
 * from it.
 */

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
  known: string | null;
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
  result: string;
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
  const { attempt, status, startedAt, inferenceMs, batchSize, result, state } = item;
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

const triesOf = ({ attempt }: Finished, state: string): string => `${state[11]}1000${count(attempt)}`;

function endedText(
  { item, state, nowMs, worker }: Ending & { item: Finished; state: string },
  fields: string,
  result: string,
): string {
  const { startedAt, inferenceMs, batchSize } = item;
  const run = `${inferenceMs.toFixed(3)}${SEPARATOR}${batchSize}`;
  const head = `${state.slice(0, 10)}s${triesOf(item, state)}${state.slice(21, 39)}${msText(startedAt)}${worker}${msText(nowMs)}`;
  return `${head}${fields}${SEPARATOR}${run}${SEPARATOR}${result}${SEPARATOR}`;
}

/** Stands in an event for a result that is too long for it: read the live state. */
export const LONG = '\x1e';

/** How a long success is told to place.lua. */
export interface PlainEnd {
  text: string;
  /** What must stand at the head, from the status to the attempts. */
  head: string;
  /** The state for the event: without metadata, options and the result. */
  short: string;
  flight: string;
}

/** Undefined where the state was not one that waited in the queue, without followers and within its deadline. */
export function plainEnd(item: Finished, { nowMs, worker }: Ending): PlainEnd | undefined {
  const { status, state, result } = item;
  if (state === undefined || status !== 'succeeded' || !isPlain(state, nowMs)) return undefined;
  const fields = fieldsOf(state);
  const ending = { item, state, nowMs, worker };
  const named = fields.slice(6).split(SEPARATOR);
  const told = [...named.slice(0, METADATA), '', ''].join(SEPARATOR);
  const toldFields = `${String(Buffer.byteLength(told)).padStart(6, '0')}${told}`;
  return {
    text: endedText(ending, fields, result),
    head: `r${triesOf(item, state)}`,
    short: endedText(ending, toldFields, LONG),
    flight: named[0] ?? '',
  };
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
