/** Events: what webhooks carry and the feed lists. */

/** Events that an endpoint or a prediction may choose. */
export const PREDICTION_EVENTS = [
  'prediction.succeeded',
  'prediction.failed',
  'prediction.canceled',
  'prediction.expired',
] as const;
/** Of an endpoint itself: a test that was asked for, and (in the feed only) that it was disabled. */
export type EndpointEvent = 'webhook_endpoint.test' | 'webhook_endpoint.disabled';

/** An event with what its data is made of, as EVENT_COLUMNS selects it. Times are Unix milliseconds. */
export interface StoredEvent {
  id: string;
  type: string;
  createdAt: number;
  /** JSON text of its data where that is not its prediction's. */
  payload: string | null;
  prediction: string | null;
  model: string | null;
  version: string | null;
  /** Of the end that the event tells: the number of its opening, and when it was; null in events of 0.1.0 and of endpoints. */
  opening: number;
  endedAt: number | null;
  endErrorCode: string | null;
  /** The prediction as it is now; all null when the ledger no longer has it. */
  status: string | null;
  predictionCreatedAt: number | null;
  completedAt: number | null;
  metadata: string | null;
  errorCode: string | null;
}

/** For `FROM events ev LEFT JOIN predictions p ON p.id = ev.prediction`. The result itself may be large, and stays there. */
export const EVENT_COLUMNS = `ev.type, ev.created_at AS "createdAt", ev.payload, ev.prediction, ev.model, ev.version,
  ev.opening, ev.completed_at AS "endedAt", ev.error_code AS "endErrorCode", p.status, p.created_at AS "predictionCreatedAt", p.completed_at AS "completedAt", p.metadata,
  CASE WHEN p.status <> 'succeeded' THEN substring(p.result FROM '"code":"([a-z_]+)"') END AS "errorCode"`;

/**
 * The JSON that a receiver gets and the feed shows: small, so that the output is fetched and never pushed. `publicUrl`
 * is where clients reach the API; paths stand alone without it.
 */
export function eventBody(event: StoredEvent, publicUrl: string | undefined): string {
  const data = event.payload === null ? predictionData(event) : (JSON.parse(event.payload) as { id: string });
  const path = event.prediction === null ? `/v1/webhook-endpoints/${data.id}` : `/v1/predictions/${event.prediction}`;
  const url = publicUrl === undefined ? path : publicUrl.replace(/\/+$/, '') + path;
  return JSON.stringify({
    type: event.type,
    timestamp: new Date(event.createdAt).toISOString(),
    data: { ...data, url },
  });
}

function predictionData(event: StoredEvent) {
  const status = event.type.slice('prediction.'.length);
  // A retry may have opened the prediction again: the event goes on telling what was then. An event of 0.1.0 does not hold
  // its end, and takes it from the prediction while that has the same status.
  const same = event.status === status;
  const code = event.endedAt === null && same ? event.errorCode : event.endErrorCode;
  return {
    id: event.prediction as string,
    model: event.model,
    version: event.version,
    status,
    opening: event.opening,
    error: status === 'succeeded' ? null : { code: code ?? 'internal' },
    created_at: iso(event.predictionCreatedAt),
    completed_at: iso(event.endedAt ?? (same ? event.completedAt : event.createdAt)),
    metadata: event.metadata ? (JSON.parse(event.metadata) as unknown) : null,
  };
}

/** The payload of an endpoint's own event, as JSON text. */
export function endpointPayload(
  endpoint: { id: string; url: string },
  more: Readonly<Record<string, string>> = {},
): string {
  return JSON.stringify({ id: endpoint.id, endpoint_url: endpoint.url, ...more });
}

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
