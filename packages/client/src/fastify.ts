/** A Fastify plugin that receives the webhooks of Millrace. */
import type { FastifyInstance } from 'fastify';
import { WebhookError } from './errors.ts';
import { receiveWebhook, refusalOf, WEBHOOK_BODY_LIMIT, type WebhookReceiverOptions } from './webhook-receiver.ts';

export interface FastifyWebhookOptions extends WebhookReceiverOptions {
  /** The path of the route. `/webhooks/millrace` if absent. */
  path?: string;
}

/**
 * Adds a POST route that verifies each request and calls your functions:
 *
 *     await app.register(millraceWebhooks, { secret, on: { 'prediction.succeeded': (event) => save(event.data.id) } });
 */
export async function millraceWebhooks(app: FastifyInstance, options: FastifyWebhookOptions): Promise<void> {
  const { path = '/webhooks/millrace', ...receiver } = options;
  // The plugin has a context of its own, so the parser does not change the other routes. The signature covers the received bytes.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: WEBHOOK_BODY_LIMIT }, (_request, body, done) =>
    done(null, body),
  );
  app.post<{ Body: Buffer | undefined }>(path, async (request, reply) => {
    try {
      await receiveWebhook({ headers: request.headers, body: request.body ?? '' }, receiver);
    } catch (error) {
      if (!(error instanceof WebhookError)) throw error;
      return reply.code(400).send(refusalOf(error));
    }
    return reply.code(204).send();
  });
}

export type { WebhookEvent, WebhookEventOf, WebhookEventType } from './webhook-events.ts';
export { WebhookError, type WebhookReceiverOptions };
