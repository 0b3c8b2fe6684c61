/** How late the webhooks are, and how many endpoints fail. Read from Postgres at an interval, never at a scrape. */
import type { Db } from '@millrace/shared/postgres/db';
import { firstRow } from '@millrace/shared/postgres/first-row';
import { Gauge, type Registry } from 'prom-client';

const READ_EVERY_MS = 5_000;

// Both parts use an index, or the small table of endpoints.
const STATE = `
  SELECT (SELECT min(next_at) FROM webhook_deliveries WHERE status = 'pending')::float8 AS "nextAt",
         (SELECT count(*) FROM webhook_endpoints WHERE state = 'enabled')::int AS endpoints,
         (SELECT count(*) FROM webhook_endpoints WHERE state = 'enabled' AND failing_since IS NOT NULL)::int AS failing`;

interface WebhookState {
  /** Unix ms of the next attempt; null without a pending delivery. */
  nextAt: number | null;
  endpoints: number;
  failing: number;
}

export interface WebhookGaugeParams {
  db: Db;
  registry: Registry;
  now(): number;
  onError(error: unknown): void;
}

/** Returns the function that ends the reads. */
export function startWebhookGauges({ db, registry, now, onError }: WebhookGaugeParams): () => void {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const due = gauge('millrace_webhook_due_seconds', 'How long the most overdue webhook delivery has been due.');
  const endpoints = gauge('millrace_webhook_endpoints', 'Enabled webhook endpoints of all tenants.');
  const failing = gauge('millrace_webhook_endpoints_failing', 'Enabled webhook endpoints whose last attempt failed.');
  let isReading = false;
  async function read(): Promise<void> {
    if (isReading) return;
    isReading = true;
    try {
      const state = firstRow((await db.query<WebhookState>(STATE)).rows);
      due.set(state.nextAt === null ? 0 : Math.max(0, now() - state.nextAt) / 1_000);
      endpoints.set(state.endpoints);
      failing.set(state.failing);
    } catch (error) {
      onError(error);
    } finally {
      isReading = false;
    }
  }
  void read();
  const timer = setInterval(() => void read(), READ_EVERY_MS);
  return () => clearInterval(timer);
}
