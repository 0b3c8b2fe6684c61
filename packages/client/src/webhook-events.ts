/** The events of webhooks and of the event feed (docs/webhooks.md). */
import type { Schemas } from './types.ts';

/** The end of a prediction. The prediction at `url` has the output. */
export interface PredictionEventData<Status extends string = string>
  extends Omit<Schemas['PredictionEventData'], 'id' | 'status'> {
  id: string;
  status: Status;
}

interface PredictionEvent<Status extends string> extends Omit<Schemas['PredictionEvent'], 'type' | 'data'> {
  type: `prediction.${Status}`;
  data: PredictionEventData<Status>;
}

interface EndpointEvent<Name extends string> extends Omit<Schemas['EndpointEvent'], 'type'> {
  type: `webhook_endpoint.${Name}`;
}

export type WebhookEvent =
  | PredictionEvent<'succeeded'>
  | PredictionEvent<'failed'>
  | PredictionEvent<'canceled'>
  | PredictionEvent<'expired'>
  | EndpointEvent<'test'>
  | EndpointEvent<'disabled'>;

/** An event of the feed: the body of the webhook, and the place in the feed. */
export type FeedEvent = WebhookEvent & { cursor: string };

export type WebhookEventType = WebhookEvent['type'];

export type WebhookEventOf<Type extends WebhookEventType> = Extract<WebhookEvent, { type: Type }>;
