/** Slots for the large rows of waiting callers: where each row of a task goes, and when its slot is released. */
import { sharedNow } from '@millrace/shared/postgres/clock';
import { freeBytes } from '@millrace/shared/predictions/free-bytes';
import { SLOT_BYTES, type SlotWriter } from '@millrace/shared/predictions/slot-writer';
import { isCacheSlot } from '@millrace/shared/predictions/slots';
import {
  type GivenRow,
  isSlot,
  readTask,
  type SlotRow,
  type StoredTask,
  type Task,
} from '@millrace/shared/predictions/task';
import type { BytesSupport } from '@millrace/shared/queue/bytes-support';
import { BytePieces } from '@millrace/shared/tensors/byte-pieces';
import type { NormalizedInput } from '../models/normalize-input.ts';
import type { CacheSlotWriter } from '../queue/cache-slot-writer.ts';
import type { Outcome } from './outcome.ts';

export interface RowSlots {
  bytesSupport: Pick<BytesSupport, 'isSupported' | 'readsSlots' | 'readsCacheSlots'>;
  /** Slots in files of shared memory. */
  fileSlots: Pick<SlotWriter, 'write' | 'read' | 'release'>;
  cacheSlots: Pick<CacheSlotWriter, 'write' | 'release' | 'lost'>;
}

/** A prediction with its rows. Every PendingPrediction fits. */
interface RowOwner {
  normalized: NormalizedInput;
  /** Unix ms. */
  expiresAt: number;
  slots?: readonly SlotRow[];
}

/** The rows of a task: the rows themselves, and slots. */
export type PlacedRows = (GivenRow | SlotRow)[];

/** A slot stays for the recorder, and for a worker that can still run the prediction, at most this long. */
const SLOT_KEPT_MS = 600_000;
const FAILED_SLOT_KEPT_MS = 60_000;

const keptMs = ({ expiresAt }: RowOwner): number =>
  Math.min(SLOT_KEPT_MS, Math.max(FAILED_SLOT_KEPT_MS, expiresAt - sharedNow()));

const isLarge = (row: GivenRow | SlotRow): row is Exclude<GivenRow, string> =>
  typeof row === 'object' && 'length' in row && row.length >= SLOT_BYTES;

/**
 * Writes each large row to a slot, if there is room and every worker can read the slot: first to shared memory, and else to the cache
 * Redis. A task with a row of text, or with errors, is text and has no slots. Never rejects.
 */
export function placeRows(deps: RowSlots, pending: RowOwner): PlacedRows | Promise<PlacedRows> {
  const { rows, errors } = pending.normalized;
  if (errors !== undefined || !rows.some(isLarge) || rows.some((row) => typeof row === 'string')) return rows;
  const { bytesSupport, fileSlots, cacheSlots } = deps;
  const placed: PlacedRows = bytesSupport.readsSlots
    ? rows.map((row) => (isLarge(row) ? (fileSlots.write(row) ?? row) : row))
    : rows;
  if (!bytesSupport.readsCacheSlots || !placed.some(isLarge)) return placed;
  const ttlMs = keptMs(pending);
  return Promise.all(placed.map(async (row) => (isLarge(row) ? ((await cacheSlots.write(row, ttlMs)) ?? row) : row)));
}

/** Releases the memory of long rows of which the task or a file has a copy. Nobody may read these rows afterwards. */
export function freeCopiedRows({ normalized }: Pick<RowOwner, 'normalized'>, placed: PlacedRows): void {
  for (const [at, row] of normalized.rows.entries()) {
    const place = placed[at];
    const isHeld = place !== undefined && typeof place !== 'string' && 'slot' in place && isCacheSlot(place);
    if (row instanceof BytePieces && !isHeld) row.release(freeBytes);
  }
}

/**
 * The stored task with its rows in place of its slots. The API process has a row in a file until the release of the slot, and a row in
 * the cache Redis until the end of the request.
 */
export function wholeTask(
  stored: StoredTask,
  { normalized }: Pick<RowOwner, 'normalized'>,
  fileSlots: RowSlots['fileSlots'],
): Task {
  const task = readTask(stored);
  if (task === undefined) throw new Error('a task that was just written cannot be read');
  const rows = task.rows.map((row, at) => {
    if (!isSlot(row)) return row;
    const given = normalized.rows[at];
    if (!isCacheSlot(row) || given === undefined) return fileSlots.read(row);
    return given instanceof BytePieces ? given.joined() : given;
  });
  return { ...task, rows };
}

/**
 * Releases the slots of a prediction: at once after a success, and otherwise when no worker and no recorder needs them. The prediction of a
 * caller that has disconnected is canceled.
 */
export async function releaseAfter(
  deps: RowSlots,
  pending: RowOwner,
  result: () => Promise<Outcome>,
): Promise<Outcome> {
  let delayMs = keptMs(pending);
  try {
    const outcome = await result();
    if (outcome.kind === 'completed') delayMs = outcome.record.status === 'succeeded' ? 0 : FAILED_SLOT_KEPT_MS;
    if (outcome.kind === 'disconnected') delayMs = FAILED_SLOT_KEPT_MS;
    return outcome;
  } finally {
    releaseSlots(deps, pending.slots ?? [], delayMs);
  }
}

export function releaseSlots(deps: RowSlots, slots: readonly SlotRow[], delayMs: number): void {
  for (const slot of slots)
    if (isCacheSlot(slot)) deps.cacheSlots.release(slot, delayMs);
    else deps.fileSlots.release(slot, delayMs);
}
