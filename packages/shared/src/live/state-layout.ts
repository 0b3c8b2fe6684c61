/**
 * The live state of a prediction as text. lib.lua describes the layout. new-state.ts writes new states,
 * ended-state.ts writes successes, state.ts reads states, and the scripts change states. The task is the last field.
 *
 * After 0.1.0 the field of the time of creation also has the number of the opening (`openingText`). A state of opening 0 has the
 * same bytes as a state of 0.1.0. The scripts and the code of 0.1.0 do not change this field, and read the same time from the field.
 */
import type { Status } from '../predictions/prediction.ts';
import type { LedgerOutput } from '../predictions/prediction-state.ts';

/** Bytes of the number, which submit.lua assigns, and of the whole head. */
export const NUMBER = 10;
export const HEAD = 87;
export const SEPARATOR = '\x1f';
export const NEVER = '0000000000000';
export const WORKER_ID_MAX = 16;

const STATUS: Readonly<Record<string, Status>> = {
  q: 'queued',
  r: 'running',
  s: 'succeeded',
  f: 'failed',
  c: 'canceled',
  e: 'expired',
  // Not in the layout of earlier processes, which must not show the result: it only describes the output. Processes of 0.1.0 take the
  // prediction for queued, and later processes discard the state as unreadable.
  l: 'succeeded',
};

/** The status letter of a success whose output is in the ledger. Its result is `ledgerOutputText`. */
export const IN_LEDGER = 'l';

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

/**
 * The text behind the time of creation: nothing for opening 0, and `.00000012` for opening 12. Such a small fraction is less than
 * the precision of a double at this time, so that `Number` and Lua's `tonumber` read only the whole milliseconds.
 */
export const openingText = (opening: number): string => (opening === 0 ? '' : `.000000${opening}`);

/** The number of the opening. `created` is the field with the time of creation. */
export function openingIn(created: string): number {
  const point = created.indexOf('.');
  return point === -1 ? 0 : Number(created.slice(point + 7));
}

export const count = (number: number): string => (number < 10 ? `0000${number}` : String(number).padStart(5, '0'));

export const numberOrNull = (text: string | undefined): number | null => (text ? Number(text) : null);
export const msOrNull = (text: string): number | null => (text === NEVER ? null : Number(text));

export const SEPARATOR_BYTE = 0x1f;

/** Index of the metadata in the first ten fields. The options are the next field. */
export const METADATA = 8;

/** Where the head has the bytes of the first ten fields. */
export const FIELD_BYTES = 81;
/** The bytes of the first ten fields, from a head. */
export const fieldBytesOf = (head: string): number => Number(head.slice(FIELD_BYTES, HEAD));

export const isShared = (state: string): boolean => state[15] === '1';

/** The form of every head. lib.lua has the same form. */
const HEAD_FORM = /^\d{10}[qrsfcel]\d[01]{4}\d{36}.{16}\d{19}/s;
export const FIELDS = 14;

/** Whether a state, or the beginning of a state, has a head of the current layout. */
export const hasHead = (state: string): boolean => HEAD_FORM.test(state);

/** The result of a state whose output is in the ledger. */
export const ledgerOutputText = ({ bytes, checksum }: LedgerOutput): string =>
  `{"bytes":${bytes},"checksum":${checksum}}`;

/** Damaged text describes an output of no length, which the ledger never has. */
export function ledgerOutputIn(result: string): LedgerOutput {
  const [, bytes = -1, checksum = 0] = /^\{"bytes":(\d+),"checksum":(\d+)\}$/.exec(result) ?? [];
  return { bytes: Number(bytes), checksum: Number(checksum) };
}
