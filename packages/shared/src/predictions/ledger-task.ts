/**
 * The task of a promise of which only the ledger has the text. The live state names the ledger in place of the task: a large input is then
 * stored once, and does not pass through the append-only file of the queue Redis. The ledger has the promise before Redis has the live state. A
 * worker that has taken the prediction reads the task from the ledger.
 *
 * `u8 version (3) | bytes of the text in the ledger, in decimal digits`. A process of 0.1.0 cannot read the name: while such a process runs, the
 * workers put the text back (recorder/write-texts.ts).
 */
import type { StoredTask } from './task-type.ts';

/** The length of a text from which the live state names the ledger. */
export const LEDGER_TASK_BYTES = 65_536;

/** The first byte of the name. Other tasks of bytes begin with 1 or 2 (task-bytes.ts), and text with a brace. */
const VERSION = 3;
const DIGITS = /^\d{1,12}$/;

/** The name of a task in the ledger whose text has `bytes`. */
export const ledgerTask = (bytes: number): Buffer => Buffer.from([VERSION, ...Buffer.from(String(bytes))]);

/** The form in the live state of a task that the ledger has. `areRead`: every process reads names of the ledger. */
export const promisedTask = (text: string, areRead: boolean): StoredTask =>
  areRead && text.length >= LEDGER_TASK_BYTES ? ledgerTask(Buffer.byteLength(text)) : text;

/** The bytes of the text in the ledger. Undefined for a task that does not name the ledger. */
export function bytesInLedger(stored: StoredTask): number | undefined {
  if (typeof stored === 'string' || stored[0] !== VERSION || stored.length > 13) return undefined;
  const digits = stored.toString('latin1', 1);
  return DIGITS.test(digits) ? Number(digits) : undefined;
}
