/** The events that webhooks deliver and the feed lists, and their JSON. */

import { API_VERSION, EVENT_ERROR_BYTES } from '../predictions/event-constants.ts';
import { publicId } from '../predictions/public-ids.ts';

/** Event types that an endpoint or a prediction may select. */
export const PREDICTION_EVENTS = [
  'prediction.succeeded',
  'prediction.failed',
  'prediction.canceled',
  'prediction.expired',
] as const;
/** Event types of an endpoint: a requested test, and the disabling of the endpoint (in the feed only). */
export type EndpointEvent = 'webhook_endpoint.test' | 'webhook_endpoint.disabled';

/** A row of EVENT_COLUMNS: an event with the fields of its prediction. Times are Unix milliseconds. */
export interface StoredEvent {
  id: string;
  eventTenant: string;
  type: string;
  /** The bytes of the event. Null in events of processes that did not store a body. */
  body: string | null;
  createdAt: number;
  /** JSON text of the data of an endpoint event; null for a prediction event. */
  payload: string | null;
  prediction: string | null;
  model: string | null;
  version: string | null;
  /** The opening of the prediction that ended. `endedAt` is null in events of 0.1.0 and of endpoints. */
  opening: number;
  endedAt: number | null;
  endErrorCode: string | null;
  /** The present state of the prediction. All fields are null when the prediction is no longer in the ledger. */
  status: string | null;
  predictionCreatedAt: number | null;
  completedAt: number | null;
  metadata: string | null;
  errorCode: string | null;
  /** The JSON of the error; null for an error that is too large for an event. */
  error: string | null;
}

/** Columns for `FROM events ev LEFT JOIN predictions p ON p.id = ev.prediction`. Results may be large and are not selected. */
export const EVENT_COLUMNS = `ev.tenant AS "eventTenant", ev.type, ev.body, ev.created_at AS "createdAt", ev.payload, ev.prediction, ev.model, ev.version,
  ev.opening, ev.completed_at AS "endedAt", ev.error_code AS "endErrorCode", p.status, p.created_at AS "predictionCreatedAt", p.completed_at AS "completedAt", p.metadata,
  CASE WHEN p.status <> 'succeeded' THEN substring(p.result FROM '"code":"([a-z_]+)"') END AS "errorCode",
  CASE WHEN p.status <> 'succeeded' AND octet_length(p.result) <= ${EVENT_ERROR_BYTES} THEN p.result END AS error`;

/**
 * The JSON of an event in a webhook and in the feed. The event has no output: receivers fetch the output from the URL of the
 * prediction. Without `publicUrl`, the base URL of the API, the event has a path in place of a URL. The ledger writes the same JSON when a
 * prediction ends (record-terminal.ts).
 */
export function eventBody(event: StoredEvent, publicUrl: string | undefined): string {
  // An event never changes: a redelivery and the feed have the bytes of the first attempt.
  if (event.body !== null) return event.body;
  const data = event.payload === null ? predictionData(event) : undefined;
  return JSON.stringify({
    id: event.id,
    type: event.type,
    timestamp: new Date(event.createdAt).toISOString(),
    api_version: API_VERSION,
    tenant: event.eventTenant,
    data: data
      ? { ...data, url: urlOf('predictions', data.id, publicUrl) }
      : endpointData(event.payload ?? '', publicUrl),
  });
}

const urlOf = (resources: string, id: string | null, publicUrl: string | undefined): string =>
  `${publicUrl?.replace(/\/+$/, '') ?? ''}/v1/${resources}/${id}`;

/** The data of an endpoint event. The stored payload has the UUID of the endpoint. */
export function endpointData(payload: string, publicUrl: string | undefined) {
  const data: { id: string } = JSON.parse(payload);
  const id = publicId('we', data.id);
  return { ...data, id, url: urlOf('webhook-endpoints', id, publicUrl) };
}

function predictionData(event: StoredEvent) {
  const status = event.type.slice('prediction.'.length);
  // After a retry the event still describes the end of its own opening. An event of 0.1.0 does not store that end. Its end comes
  // from the prediction while the prediction has the same status.
  const same = event.status === status;
  return {
    id: event.prediction === null ? null : publicId('pred', event.prediction),
    model: event.model,
    version: event.version,
    status,
    opening: event.opening,
    error: status === 'succeeded' ? null : errorOf(event, same),
    created_at: iso(event.predictionCreatedAt),
    completed_at: iso(event.endedAt ?? (same ? event.completedAt : event.createdAt)),
    metadata: event.metadata ? JSON.parse(event.metadata) : null,
  };
}

/** The error as in the prediction. After a retry the event still has the code of its own end. */
function errorOf(event: StoredEvent, same: boolean): unknown {
  const isThisEnd = same && (event.endedAt === null || event.endedAt === event.completedAt);
  if (isThisEnd && event.error) return JSON.parse(event.error);
  const code = (event.endedAt === null && same ? event.errorCode : event.endErrorCode) ?? 'internal';
  return { type: `urn:millrace:error:${code}`, code };
}

/** The payload of an endpoint event, as JSON text. */
export function endpointPayload(
  endpoint: { id: string; url: string },
  more: Readonly<Record<string, string>> = {},
): string {
  return JSON.stringify({ id: endpoint.id, endpoint_url: endpoint.url, ...more });
}

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
