/** Converts webhook resources to the JSON of responses. No response contains a stored secret. */
import { publicId } from '@millrace/shared/predictions/public-ids';
import { eventBody } from '@millrace/shared/webhooks/event';
import { allEvents, selectionOf } from '@millrace/shared/webhooks/selection';
import type { Attempt, Delivery } from './delivery-table.ts';
import type { Endpoint } from './endpoint-table.ts';
import { feedCursor } from './feed-cursor.ts';
import type { FeedEvent } from './feed-table.ts';

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

export interface EndpointContext {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  /** The names of the tenant's models. */
  models: ReadonlySet<string>;
}

export function endpointJson(endpoint: Endpoint, { base, models }: EndpointContext) {
  const id = publicId('we', endpoint.id);
  const self = `${base}/v1/webhook-endpoints/${id}`;
  const isEnabled = endpoint.state === 'enabled';
  return {
    id,
    url: endpoint.url,
    description: endpoint.description,
    events: endpoint.events.length === 0 ? [allEvents] : selectionOf(endpoint.events),
    models: endpoint.models,
    unknown_models: endpoint.models.filter((model) => !models.has(model)),
    status: endpoint.state,
    reason: isEnabled ? null : (endpoint.reasonCode ?? 'unknown'),
    detail: isEnabled ? null : endpoint.reason,
    failing_since_at: iso(endpoint.failingSince),
    created_at: iso(endpoint.createdAt),
    updated_at: iso(endpoint.updatedAt),
    urls: {
      self,
      deliveries: `${base}/v1/webhook-deliveries?endpoint_id=${id}`,
      test: isEnabled ? `${self}/test` : null,
      rotate_secret: `${self}/secret/rotate`,
    },
  };
}

export function deliveryJson(delivery: Delivery, attempts: readonly Attempt[], base: string) {
  const id = publicId('whd', delivery.id);
  const self = `${base}/v1/webhook-deliveries/${id}`;
  return {
    id,
    event: { id: delivery.event, type: delivery.type },
    endpoint_id: delivery.endpoint === null ? null : publicId('we', delivery.endpoint),
    url: delivery.url,
    prediction_id: delivery.prediction === null ? null : publicId('pred', delivery.prediction),
    status: delivery.status,
    next_attempt_at: iso(delivery.nextAt),
    created_at: iso(delivery.createdAt),
    completed_at: iso(delivery.completedAt),
    attempts: attempts
      .filter((attempt) => attempt.delivery === delivery.id)
      .map(({ number, at, latencyMs, status, error, reply }) => ({
        number,
        started_at: iso(at),
        latency_ms: latencyMs === null ? null : Math.round(latencyMs * 10) / 10,
        http_status: status,
        error: error === null ? null : { code: error },
        reply,
      })),
    urls: { self, redeliver: `${self}/redeliver` },
  };
}

/** The body of the webhook, with the cursor of the event in the feed. */
export function eventJson(event: FeedEvent, publicUrl: string | undefined) {
  const body: Record<string, unknown> = JSON.parse(eventBody(event, publicUrl));
  return { cursor: feedCursor(event.sequence), ...body };
}
