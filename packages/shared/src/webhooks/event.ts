/** Events: what webhooks carry and the feed lists. One event is one body, the same bytes wherever it goes. */
import { createHash } from 'node:crypto';
import type { TerminalStatus } from '../prediction.ts';

/** Events that an endpoint or a prediction may choose. */
export const PREDICTION_EVENTS = [
  'prediction.succeeded',
  'prediction.failed',
  'prediction.canceled',
  'prediction.expired',
] as const;
export type PredictionEvent = (typeof PREDICTION_EVENTS)[number];
/** Of an endpoint itself: a test that was asked for, and (in the feed only) that it was disabled. */
export type EndpointEvent = 'webhook_endpoint.test' | 'webhook_endpoint.disabled';
export type EventType = PredictionEvent | EndpointEvent;

export const eventOfStatus = (status: TerminalStatus): PredictionEvent => `prediction.${status}`;

/** A terminal state as an event tells it. Times are Unix milliseconds. */
export interface TerminalFacts {
  id: string;
  model: string;
  version: string;
  status: TerminalStatus;
  /** How often it was opened: 1, and one more for each retry by its caller. Each has an event of its own. */
  attempt: number;
  createdAt: number;
  completedAt: number;
  /** JSON text; '' for none. */
  metadata: string;
  /** Code of the error; null when it succeeded. */
  errorCode: string | null;
}

/**
 * The id of an event, and the `webhook-id` of its deliveries: a function of what it tells, so that a terminal state
 * which is recorded twice is one event.
 */
export function eventId(...told: readonly (string | number)[]): string {
  const digest = createHash('sha256').update(JSON.stringify(told)).digest('base64url');
  return `evt_${digest.slice(0, 27)}`;
}

export const predictionEventId = (facts: Pick<TerminalFacts, 'id' | 'attempt'>): string =>
  eventId('prediction', facts.id, facts.attempt);

/** The body of a prediction's event. `publicUrl` is where clients reach the API; paths stand alone without it. */
export function predictionPayload(facts: TerminalFacts, publicUrl: string | undefined): string {
  return envelope(eventOfStatus(facts.status), facts.completedAt, {
    id: facts.id,
    model: facts.model,
    version: facts.version,
    status: facts.status,
    attempt: facts.attempt,
    error: facts.errorCode === null ? null : { code: facts.errorCode },
    created_at: new Date(facts.createdAt).toISOString(),
    completed_at: new Date(facts.completedAt).toISOString(),
    metadata: facts.metadata === '' ? null : JSON.parse(facts.metadata),
    url: absolute(`/v1/predictions/${facts.id}`, publicUrl),
  });
}

export function endpointPayload(
  type: EndpointEvent,
  endpoint: { id: string; url: string },
  atMs: number,
  publicUrl: string | undefined,
  more: Readonly<Record<string, string>> = {},
): string {
  const self = absolute(`/v1/webhook-endpoints/${endpoint.id}`, publicUrl);
  return envelope(type, atMs, { id: endpoint.id, endpoint_url: endpoint.url, ...more, url: self });
}

function envelope(type: EventType, atMs: number, data: unknown): string {
  return JSON.stringify({ type, timestamp: new Date(atMs).toISOString(), data });
}

function absolute(path: string, publicUrl: string | undefined): string {
  return publicUrl === undefined ? path : publicUrl.replace(/\/+$/, '') + path;
}
