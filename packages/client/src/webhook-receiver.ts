/** Receives webhook requests: verifies a request, calls the function of its event, and decides the status of the response. */
import type { WebhookError } from './errors.ts';
import type { WebhookEvent, WebhookEventOf, WebhookEventType } from './webhook-events.ts';
import { verifyWebhook } from './webhooks.ts';

type Handlers = { [Type in WebhookEventType]?: (event: WebhookEventOf<Type>) => unknown };

export interface WebhookReceiverOptions {
  /** The secret of the endpoint, `whsec_...`, or several secrets during a rotation. */
  secret: string | readonly string[];
  /** A function for each type of event. The response is sent when the function has ended; after an error the server sends the event again. */
  on?: Handlers;
  /** Called with every event, also of types that this version of the client does not know. */
  onEvent?: (event: WebhookEvent) => unknown;
  /**
   * The ids of the processed events, because the server can send an event twice. A Set works for one process; pass functions that use
   * your database for several processes.
   */
  processed?: { has(id: string): boolean | Promise<boolean>; add(id: string): unknown };
}

export interface ReceivedRequest {
  headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  body: string | Uint8Array;
}

/** The largest body in bytes. An event has no output, so it is small. */
export const WEBHOOK_BODY_LIMIT = 1_048_576;

/** Throws a WebhookError for a request that does not come from the server, and the errors of the functions. */
export async function receiveWebhook(request: ReceivedRequest, options: WebhookReceiverOptions): Promise<void> {
  const { secret, on = {}, onEvent, processed } = options;
  const event = await verifyWebhook(request, secret);
  if (await processed?.has(event.id)) return;
  await callHandler(on, event);
  await onEvent?.(event);
  await processed?.add(event.id);
}

async function callHandler(on: Handlers, event: WebhookEvent): Promise<void> {
  // `Object.hasOwn`: a type such as `constructor` names no function of the caller.
  if (!Object.hasOwn(on, event.type)) return;
  const handler = on[event.type] as ((event: WebhookEvent) => unknown) | undefined;
  await handler?.(event);
}

/** The JSON of a refusal. */
export const refusalOf = (error: WebhookError): { error: string; message: string } => ({
  error: error.code,
  message: error.message,
});
