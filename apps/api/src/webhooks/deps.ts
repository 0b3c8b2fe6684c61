import type { Pool } from '@millrace/shared/postgres/db';
import type { WebhookTimers } from '@millrace/shared/webhooks/timers';
import type { FastifyRequest } from 'fastify';
import type { CheckWebhook } from './check-target.ts';

/** What the webhook routes are given. */
export interface WebhookRouteDeps {
  db: Pool;
  /** Deliveries are asked for through it, once they are committed. */
  timers: Pick<WebhookTimers, 'scheduleDeliveries'>;
  checkWebhook: CheckWebhook;
  tenantOf(request: FastifyRequest): string;
  /** Where clients reach the API. */
  publicUrl: string | undefined;
  now?: () => number;
}
