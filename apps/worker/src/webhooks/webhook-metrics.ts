/** Prometheus metrics of the role `webhooks`. No label contains a tenant or a URL: their number has no limit. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { AttemptRecord } from './record-outcome.ts';

export interface WebhookMetrics {
  attempt(record: AttemptRecord): void;
}

export function createWebhookMetrics(registry: Registry, underWay: () => number): WebhookMetrics {
  const registers = [registry];
  const attempts = new Counter({
    name: 'millrace_webhook_attempts_total',
    help: 'Webhook attempts, by status class or error (outcome), and by the resulting status of the delivery (delivery).',
    labelNames: ['outcome', 'delivery'],
    registers,
  });
  const latency = new Histogram({
    name: 'millrace_webhook_attempt_seconds',
    help: 'Duration of webhook attempts in seconds.',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15],
    registers,
  });
  const disabled = new Counter({
    name: 'millrace_webhook_endpoints_disabled_total',
    help: 'Attempts that disabled their endpoint.',
    labelNames: ['reason'],
    registers,
  });
  new Gauge({
    name: 'millrace_webhook_attempts_under_way',
    help: 'Webhook attempts in progress in this worker.',
    registers,
    collect() {
      this.set(underWay());
    },
  });
  return {
    attempt({ replyStatus, error, latencyMs, status, disable, endpoint }) {
      const outcome = replyStatus === null ? (error ?? 'unknown') : `${Math.floor(replyStatus / 100)}xx`;
      attempts.inc({ outcome, delivery: status });
      latency.observe(latencyMs / 1_000);
      if (disable !== null && endpoint !== null) disabled.inc({ reason: disable });
    },
  };
}
