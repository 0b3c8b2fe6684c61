/** The parts of the API that the webhook routes use. */
import type { Pool } from '@millrace/shared/postgres/db';
import type { WebhookTimers } from '@millrace/shared/webhooks/timers';
import type { FastifyRequest } from 'fastify';
import type { CheckWebhook } from './check-target.ts';

/** Dependencies of the webhook routes. */
export interface WebhookRouteDeps {
  db: Pool;
  /** Wakes the workers for deliveries that are committed. */
  timers: Pick<WebhookTimers, 'scheduleDeliveries'>;
  checkWebhook: CheckWebhook;
  tenantOf(request: FastifyRequest): string;
  /** Base URL under which clients reach the API. */
  publicUrl: string | undefined;
  /** The names of the models that a tenant can use. */
  modelNames(tenant: string): Promise<ReadonlySet<string>>;
  now?: () => number;
}
