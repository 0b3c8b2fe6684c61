/** Webhooks: the verification of requests, and the lists of endpoints, deliveries and events. */
import type { PagedList } from './pages.ts';
import type { Requester } from './requester.ts';
import type { DeliveryListOptions, EndpointListOptions, EventListOptions, Schemas } from './types.ts';
import type { FeedEvent } from './webhook-events.ts';
import { verifyWebhook } from './webhooks.ts';

export class WebhooksClient {
  readonly #requester: Requester;
  /** Resolves with the event of a webhook request, and rejects with a WebhookError if the request is not from your server. */
  readonly verify = verifyWebhook;

  constructor(requester: Requester) {
    this.#requester = requester;
  }

  endpoints(options: EndpointListOptions = {}): PagedList<Schemas['Endpoint']> {
    return this.#requester.list('/v1/webhook-endpoints', options);
  }

  /** Lists the deliveries, newest first, each with its attempts. */
  deliveries(options: DeliveryListOptions = {}): PagedList<Schemas['Delivery']> {
    return this.#requester.list('/v1/webhook-deliveries', options);
  }

  /** Lists the events of the feed, oldest first. Store the `cursor` of the last processed event, and pass the cursor the next time. */
  events(options: EventListOptions = {}): PagedList<FeedEvent> {
    return this.#requester.list('/v1/events', options);
  }
}
