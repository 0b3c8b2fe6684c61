/** A handler for Express, and for every server with requests of `node:http`, that receives the webhooks of Millrace. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { WebhookError } from './errors.ts';
import { receiveWebhook, refusalOf, WEBHOOK_BODY_LIMIT, type WebhookReceiverOptions } from './webhook-receiver.ts';

/**
 * Returns a handler that verifies each request and calls your functions. Mount the handler before any parser of bodies, because the
 * signature covers the received bytes:
 *
 *     app.post('/webhooks/millrace', millraceWebhooks({ secret, on: { 'prediction.succeeded': (event) => save(event.data.id) } }));
 */
export function millraceWebhooks(options: WebhookReceiverOptions) {
  return (
    request: IncomingMessage & { body?: unknown },
    response: ServerResponse,
    next?: (error?: unknown) => void,
  ): void => {
    respond(request, response, options).catch((error: unknown) => {
      if (next) next(error);
      else send(response, 500, { error: 'handler_failed', message: 'The receiver of the event failed.' });
    });
  };
}

async function respond(
  request: IncomingMessage & { body?: unknown },
  response: ServerResponse,
  options: WebhookReceiverOptions,
): Promise<void> {
  const body = await bodyOf(request);
  if (body === undefined) {
    response.setHeader('connection', 'close');
    return send(response, 413, {
      error: 'payload_too_large',
      message: `An event has at most ${WEBHOOK_BODY_LIMIT} bytes.`,
    });
  }
  try {
    await receiveWebhook({ headers: request.headers, body }, options);
  } catch (error) {
    if (!(error instanceof WebhookError)) throw error;
    return send(response, 400, refusalOf(error));
  }
  response.writeHead(204).end();
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Returns undefined for a body that is too large. */
async function bodyOf(request: IncomingMessage & { body?: unknown }): Promise<string | Uint8Array | undefined> {
  const { body } = request;
  if (body instanceof Uint8Array || typeof body === 'string') return body;
  if (request.readableEnded || (typeof body === 'object' && body !== null && Object.keys(body).length > 0))
    throw new Error(
      'Another parser has read the body of the webhook. Mount millraceWebhooks before express.json(), or use express.raw({ type: "*/*" }).',
    );
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > WEBHOOK_BODY_LIMIT) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export type { WebhookEvent, WebhookEventOf, WebhookEventType } from './webhook-events.ts';
export { WebhookError, type WebhookReceiverOptions };
