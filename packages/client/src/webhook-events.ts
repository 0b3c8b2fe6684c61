/** The events of webhooks and of the event feed (docs/webhooks.md). */

/** The reason why a prediction failed, expired or was canceled. An event of a large error has only `type` and `code`. */
export interface EventError {
  type: string;
  code: string;
  title?: string;
  status?: number;
  detail?: string;
}

export interface PredictionEventData<Status extends string = string> {
  id: string;
  model: string;
  version: string;
  status: Status;
  /** 0 for the end of the first request, and one more for each retry. */
  opening: number;
  /** Null after a success. */
  error: EventError | null;
  created_at: string | null;
  completed_at: string | null;
  metadata: Record<string, string> | null;
  /** The prediction with its output. A path if the server has no PUBLIC_URL. */
  url: string;
}

export interface EndpointEventData {
  id: string;
  endpoint_url: string;
  url: string;
  reason?: string;
  detail?: string;
}

interface Envelope<Type extends string, Data> {
  /** Equal for all deliveries of an event: skip the events that you have processed. */
  id: string;
  type: Type;
  timestamp: string;
  api_version: string;
  tenant: string;
  data: Data;
}

type PredictionEvent<Status extends string> = Envelope<`prediction.${Status}`, PredictionEventData<Status>>;

export type WebhookEvent =
  | PredictionEvent<'succeeded'>
  | PredictionEvent<'failed'>
  | PredictionEvent<'canceled'>
  | PredictionEvent<'expired'>
  | Envelope<'webhook_endpoint.test', EndpointEventData>
  | Envelope<'webhook_endpoint.disabled', EndpointEventData>;

/** An event of the feed: the body of the webhook, and the place in the feed. */
export type FeedEvent = WebhookEvent & { cursor: string };

export type WebhookEventType = WebhookEvent['type'];

export type WebhookEventOf<Type extends WebhookEventType> = Extract<WebhookEvent, { type: Type }>;
