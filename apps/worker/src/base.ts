/** What every role of a worker shares. */
import type { Closers } from '@millrace/shared/closers';
import type { Config } from '@millrace/shared/config';
import type { Pool } from '@millrace/shared/db';
import type { Keys } from '@millrace/shared/keys';
import type { LiveStore } from '@millrace/shared/live/store';
import type { Clock } from '@millrace/shared/postgres/clock';
import type { Connection } from '@millrace/shared/redis';
import type { Logger } from 'pino';
import type { WorkerHealth } from './health.ts';
import type { WorkerMetrics } from './metrics.ts';

export interface Base {
  config: Config;
  log: Logger;
  keys: Keys;
  id: string;
  redis: Connection;
  db: Pool;
  live: LiveStore;
  clock: Clock;
  metrics: WorkerMetrics;
  health: WorkerHealth;
  closers: Closers;
  connect(kind: 'producer' | 'blocking', name: string): Connection;
}
