/** The dependencies of a recorder, and the parts that its two loops share. */

import type { RecordedEnd } from '@millrace/shared/ledger/ledger';
import type { TerminalRow } from '@millrace/shared/ledger/ledger-rows';
import type { Recorded } from '@millrace/shared/ledger/record-terminal';
import { terminalRowOf } from '@millrace/shared/ledger/terminal-row';
import type { LivePrediction, LiveStore } from '@millrace/shared/live/store';
import { isTerminal } from '@millrace/shared/predictions/prediction';
import { isSlot, readTask, type StoredTask } from '@millrace/shared/predictions/task';
import { namesSlots } from '@millrace/shared/predictions/task-bytes';
import type { SlotReader } from '@millrace/shared/queue/slot-reader';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Logger } from 'pino';
import type { Room } from './make-room.ts';
import type { SetAside } from './set-aside.ts';
import type { WriteDeps } from './write-rows.ts';

export interface RecorderDeps {
  /** A connection for blocking reads. The recorder closes the connection. */
  reader: Connection;
  /** A connection for all other commands. */
  redis: Connection;
  keys: Keys;
  live: LiveStore;
  /** Reads large inputs from the cache Redis. */
  slots: SlotReader;
  shards: readonly number[];
  consumer: string;
  /** How long Redis keeps a recorded state that was kept longer for the recorder. */
  liveTtlMs: number;
  /** Whether the memory of Redis is short. */
  room: Room;
  /** Replaces RETRY_DELAYS_MS in tests. */
  retryDelaysMs?: readonly number[];
  record(rows: TerminalRow[]): Promise<Recorded>;
  /** The rows of the ledger for predictions whose end the ledger refused. */
  findEnds(ids: string[]): Promise<RecordedEnd[]>;
  /** Whether Postgres responds at all. Separates a failing statement from an unreachable server. */
  postgresResponds(): Promise<boolean>;
  /** Receives the committed deliveries. Must not reject. */
  onDeliveries(deliveries: Recorded['deliveries']): Promise<void>;
  onRecorded(rows: number): void;
  /** Receives the ends that a statement wrote. */
  onEnded(ends: readonly TerminalRow[]): void;
  /** While the clock of this process is wrong, the recorder reads nothing. Another recorder takes the entries. */
  isClockRight(): boolean;
  /** Receives each end that was recorded without its output. */
  onOmitted(): void;
  log: Logger;
}

/** The parts that the loops of a recorder share. */
export interface RecorderParts {
  deps: RecorderDeps;
  setAside: SetAside;
  writing: WriteDeps;
  /** Aborts when the recorder closes. */
  signal: AbortSignal;
  /** Resolves after `ms`, or when the recorder closes. */
  pause(ms: number): Promise<void>;
  retryDelaysMs: readonly number[];
}

/** Delays before an end that failed alone is written again. The last delay repeats. */
export const RETRY_DELAYS_MS: readonly number[] = [1_000, 2_000, 4_000, 8_000, 30_000, 60_000];

/** Bytes of live states in one statement. */
export const STATEMENT_BYTES = 4 * 1_048_576;

/** The part of a row that the release of its state needs. A row can have megabytes of input. */
export type RowEnd = Pick<TerminalRow, 'id' | 'completedAt' | 'ledgerOutput'>;

/**
 * Shortens the lifetime of recorded states of one shard. A state whose output is in the ledger is deleted: the row has all that the
 * state has, and a process of an older version, which cannot read the state, finds the row.
 */
export async function releaseStates(live: LiveStore, rows: readonly RowEnd[], ttlMs: number): Promise<void> {
  const kept = rows.filter(({ ledgerOutput }) => ledgerOutput === undefined);
  await live.shorten(kept, ttlMs);
  await live.drop(rows.filter(({ ledgerOutput }) => ledgerOutput !== undefined));
}

/** Returns undefined for an unreadable state, and for a state whose options are not JSON. */
export function rowOf(state: LivePrediction | undefined): TerminalRow | undefined {
  try {
    return state && terminalRowOf(state);
  } catch {
    return undefined;
  }
}

/**
 * Reads the rows of predictions that are still terminal. A retried prediction is skipped: its retry recorded the end. A row has the
 * inputs of its slots, so the rows come in parts of at most STATEMENT_BYTES of such inputs.
 */
export async function* readRows(
  { live, slots }: RecorderDeps,
  ids: readonly string[],
  { large = false } = {},
): AsyncGenerator<TerminalRow[]> {
  if (ids.length === 0) return;
  const states = await live.readMany(ids, { large });
  let part: TerminalRow[] = [];
  let bytes = 0;
  for (const state of states) {
    if (!state || !isTerminal(state.status)) continue;
    // The row of a succeeded prediction has no input.
    const more = state.status === 'succeeded' ? 0 : bytesInSlots(state.task);
    if (more > 0) {
      if (part.length > 0 && bytes + more > STATEMENT_BYTES) {
        yield part;
        part = [];
        bytes = 0;
      }
      bytes += more;
      state.task = await slots.whole(state.task);
    }
    const row = rowOf(state);
    if (row) part.push(row);
  }
  if (part.length > 0) yield part;
}

function bytesInSlots(stored: StoredTask): number {
  const task = namesSlots(stored) ? readTask(stored) : undefined;
  return task?.rows.reduce((sum, row) => sum + (isSlot(row) ? row.bytes : 0), 0) ?? 0;
}
