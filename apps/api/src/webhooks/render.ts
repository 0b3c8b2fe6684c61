/** Converts webhook resources to the JSON of responses. No response contains a stored secret. */
import { eventBody } from '@millrace/shared/webhooks/event';
import type { Attempt, Delivery } from './delivery-table.ts';
import type { Endpoint } from './endpoint-table.ts';
import type { FeedEvent } from './feed-table.ts';

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

export function endpointJson(endpoint: Endpoint) {
  const self = `/v1/webhook-endpoints/${endpoint.id}`;
  return {
    id: endpoint.id,
    url: endpoint.url,
    description: endpoint.description,
    events: endpoint.events,
    models: endpoint.models,
    state: endpoint.state,
    reason: endpoint.reason,
    failing_since: iso(endpoint.failingSince),
    created_at: iso(endpoint.createdAt),
    updated_at: iso(endpoint.updatedAt),
    urls: { self, deliveries: `/v1/webhook-deliveries?endpoint=${endpoint.id}`, test: `${self}/test` },
  };
}

export function deliveryJson(delivery: Delivery, attempts: readonly Attempt[]) {
  const self = `/v1/webhook-deliveries/${delivery.id}`;
  return {
    id: delivery.id,
    event: { id: delivery.event, type: delivery.type },
    endpoint: delivery.endpoint,
    url: delivery.url,
    prediction: delivery.prediction,
    status: delivery.status,
    next_attempt_at: iso(delivery.nextAt),
    created_at: iso(delivery.createdAt),
    completed_at: iso(delivery.completedAt),
    attempts: attempts
      .filter((attempt) => attempt.delivery === delivery.id)
      .map(({ number, at, latencyMs, status, error, reply }) => ({
        number,
        at: iso(at),
        latency_ms: latencyMs === null ? null : Math.round(latencyMs * 10) / 10,
        status,
        error,
        reply,
      })),
    urls: { self, redeliver: `${self}/redeliver` },
  };
}

/** The body of the webhook, with the `webhook-id` of the event and its cursor in the feed. */
export function eventJson(event: FeedEvent, publicUrl: string | undefined) {
  const body: Record<string, unknown> = JSON.parse(eventBody(event, publicUrl));
  return { id: event.id, cursor: String(event.sequence), ...body };
}
