/** The dependencies of the reconciler. */
import type { OpenOptions, OpenPromise } from '@millrace/shared/ledger/ledger';
import type { TasklessRow } from '@millrace/shared/ledger/ledger-rows';
import type { LiveStore } from '@millrace/shared/live/store';
import type { Queues } from '@millrace/shared/queue/queues';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Logger } from 'pino';

export interface ReconcilerDeps {
  redis: Connection;
  keys: Keys;
  live: LiveStore;
  queues: Queues;
  workerId: string;
  intervalMs: number;
  /** How long Redis keeps a succeeded prediction. An older end may be unknown in Redis and still unrecorded. */
  liveTtlMs: number;
  openPromises(options: OpenOptions): Promise<OpenPromise[]>;
  /** Whether the clock of this process may judge deadlines. While the clock is wrong, no pass runs. */
  isClockRight(): boolean;
  /** Reads the JSON text of tasks, by id; null for a row without a task. */
  readTasks(ids: readonly string[]): Promise<Map<string, string | null>>;
  /** Expires a row that is unknown in Redis. */
  expire(row: TasklessRow, error: string, nowMs: number): Promise<boolean>;
  /** Fails a row whose task cannot be read. */
  fail(row: TasklessRow, error: string, nowMs: number): Promise<boolean>;
  /** The names of all models that have a queue. */
  models(): Promise<readonly string[]>;
  onOutcome(outcome: string): void;
  /** Called after each pass of this worker. While another worker reconciles, this worker makes no pass. */
  onPass?(): void;
  /** Receives the number of unreadable live states that were discarded. */
  onUnreadable(count: number): void;
  log: Logger;
}
