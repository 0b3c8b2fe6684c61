/** All that a caller can do with webhooks. */
import type { FastifyInstance } from 'fastify';
import { registerDeliveries } from './deliveries.ts';
import { registerEndpoints } from './endpoints.ts';
import { registerFeed } from './events.ts';
import type { WebhookRouteMeans } from './means.ts';

export type { WebhookRouteMeans } from './means.ts';

export function registerWebhooks(app: FastifyInstance, means: WebhookRouteMeans): void {
  registerEndpoints(app, means);
  registerDeliveries(app, means);
  registerFeed(app, means);
}
