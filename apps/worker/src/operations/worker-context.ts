/** The connections and services that all roles of a worker share. */

import type { LiveStore } from '@millrace/shared/live/store';
import type { Clock } from '@millrace/shared/postgres/clock';
import type { Pool } from '@millrace/shared/postgres/db';
import type { Closers } from '@millrace/shared/process/closers';
import type { Config } from '@millrace/shared/process/config';
import type { SlotReader } from '@millrace/shared/queue/slot-reader';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Tracing } from '@millrace/shared/tracing/tracing';
import type { Logger } from 'pino';
import type { WorkerHealth } from './health.ts';
import type { WorkerMetrics } from './metrics.ts';
import type { Presence } from './presence.ts';

export interface WorkerContext {
  config: Config;
  log: Logger;
  keys: Keys;
  id: string;
  redis: Connection;
  db: Pool;
  live: LiveStore;
  /** Reads large rows from the cache Redis. */
  slots: SlotReader;
  clock: Clock;
  metrics: WorkerMetrics;
  presence: Presence;
  /** Undefined where traces are switched off. */
  tracing: Tracing | undefined;
  health: WorkerHealth;
  closers: Closers;
  connect(kind: 'producer' | 'blocking', name: string): Connection;
}
