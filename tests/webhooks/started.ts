/** Runs the webhooks role on a real Redis and Postgres, with a clock that the test controls. */

import { recordTerminal, type TerminalRow } from '@millrace/shared/ledger/ledger';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { newSecret } from '@millrace/shared/webhooks/secret';
import { createWebhookTimers, type WebhookTimers } from '@millrace/shared/webhooks/timers';
import type { AttemptRecord } from '../../apps/worker/src/webhooks/record-outcome.ts';
import { startWebhooks, type WebhookDeps, type Webhooks } from '../../apps/worker/src/webhooks/role.ts';
import { terminalRow } from '../ledger/rows.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis } from '../support/test-redis.ts';

export interface Clock {
  nowMs: number;
}

export interface Started {
  db: Pool;
  webhooks: Webhooks;
  timers: WebhookTimers;
  keyPrefix: string;
  settled: readonly AttemptRecord[];
  /** Resolves when `count` matching attempts have been written. */
  until(count: number, fits?: (attempt: AttemptRecord) => boolean): Promise<AttemptRecord[]>;
  /** Records the end of predictions and attempts their deliveries, as the recorder does. */
  record(...rows: Partial<TerminalRow>[]): Promise<TerminalRow[]>;
  /** Records the end of predictions without setting timers, as if the timers were lost. */
  write(...rows: Partial<TerminalRow>[]): Promise<TerminalRow[]>;
  /** Starts another worker on the same stores. */
  another(deps?: Partial<WebhookDeps>): Webhooks;
  close(): Promise<void>;
}

/** The URL of the API in events. */
const PUBLIC_URL = 'https://millrace.example';

export const quiet = { info: () => {}, warn: () => {} };

export async function startWorkerOn(
  databaseUrl: string,
  { clock, env = {}, deps = {} }: { clock?: Clock; env?: Record<string, string>; deps?: Partial<WebhookDeps> } = {},
): Promise<Started> {
  const keyPrefix = testPrefix();
  const config = loadConfig({
    KEY_PREFIX: keyPrefix,
    WEBHOOK_ALLOW_HTTP: 'true',
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
    WEBHOOK_TIMEOUT_MS: '2000',
    PUBLIC_URL,
    ...env,
  });
  const now = clock ? () => clock.nowMs : Date.now;
  const db = createPool({ databaseUrl, max: 6, statementTimeoutMs: 10_000, applicationName: 'webhooks-test' });
  const settled: AttemptRecord[] = [];
  const waiters = new Set<() => void>();
  const connection = connectTestRedis('producer', { timeoutMs: 5_000 });
  await new Promise((resolve) => connection.once('ready', resolve));
  const timers = createWebhookTimers({ connection, keyPrefix, now });
  const start = (more: Partial<WebhookDeps> = {}) =>
    startWebhooks({
      config,
      db,
      redis: (kind) => connectTestRedis(kind, { timeoutMs: 5_000 }),
      log: quiet,
      now,
      random: () => 0,
      onAttempt: (attempt) => {
        settled.push(attempt);
        for (const waiter of waiters) waiter();
      },
      ...deps,
      ...more,
    });
  const started: Webhooks[] = [start()];
  return {
    db,
    webhooks: started[0] as Webhooks,
    timers,
    keyPrefix,
    settled,
    until: (count, fits = () => true) =>
      new Promise((resolve) => {
        const look = () => {
          const fitting = settled.filter(fits);
          if (fitting.length < count) return;
          waiters.delete(look);
          resolve(fitting);
        };
        waiters.add(look);
        look();
      }),
    async record(...rows) {
      const full = rows.map((row) => terminalRow(row));
      const { deliveries } = await recordTerminal(db, full, { nowMs: now(), publicUrl: PUBLIC_URL });
      await timers.scheduleDeliveries(deliveries);
      return full;
    },
    async write(...rows) {
      const full = rows.map((row) => terminalRow(row));
      await recordTerminal(db, full, { nowMs: now(), publicUrl: PUBLIC_URL });
      return full;
    },
    another(more) {
      const worker = start(more);
      started.push(worker);
      return worker;
    },
    async close() {
      await Promise.all(started.map((one) => one.close(1_000)));
      await timers.close();
      connection.disconnect();
      await db.end();
    },
  };
}

export interface EndpointRow {
  tenant?: string;
  url: string;
  events?: string[];
  models?: string[];
  secret?: string;
  failingSince?: number | null;
}

/** Inserts an endpoint into the database directly. */
export async function insertEndpoint(db: Pool, endpoint: EndpointRow): Promise<{ id: string; secret: string }> {
  const secret = endpoint.secret ?? newSecret();
  const { rows } = await db.query<{ id: string }>(
    `INSERT INTO webhook_endpoints (tenant, url, events, models, secrets, failing_since)
     VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
    [
      endpoint.tenant ?? 'default',
      endpoint.url,
      endpoint.events ?? [],
      endpoint.models ?? [],
      JSON.stringify([{ secret, until: null }]),
      endpoint.failingSince ?? null,
    ],
  );
  return { id: (rows[0] as { id: string }).id, secret };
}

export async function deliveriesOf(db: Pool, prediction: string) {
  const { rows } = await db.query(
    'SELECT id, status, attempts, next_at AS "nextAt", event, endpoint FROM webhook_deliveries WHERE prediction = $1 ORDER BY id',
    [prediction],
  );
  return rows as {
    id: string;
    status: string;
    attempts: number;
    nextAt: number | null;
    event: string;
    endpoint: string | null;
  }[];
}
