/** All that a caller can do with webhooks. */
import type { FastifyInstance } from 'fastify';
import { registerDeliveries } from './delivery-routes.ts';
import type { WebhookRouteMeans } from './deps.ts';
import { registerEndpoints } from './endpoint-routes.ts';
import { registerFeed } from './feed-routes.ts';

export type { WebhookRouteMeans } from './deps.ts';

export function registerWebhooks(app: FastifyInstance, means: WebhookRouteMeans): void {
  registerEndpoints(app, means);
  registerDeliveries(app, means);
  registerFeed(app, means);
}
