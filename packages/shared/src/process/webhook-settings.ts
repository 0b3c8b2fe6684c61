/** Settings of webhooks. */
import { flag, integer, list, type Setting } from './setting.ts';

export const WEBHOOK_SETTINGS = {
  webhookHttp: flag('WEBHOOK_ALLOW_HTTP', false, 'Allow http:// webhooks; for development.'),
  webhookNetworks: list('WEBHOOK_ALLOWED_NETWORKS', '', 'Private networks (CIDR) that webhooks may reach.'),
  webhookTimeoutMs: integer('WEBHOOK_TIMEOUT_MS', {
    default: 15_000,
    min: 100,
    max: 60_000,
    about: 'Time limit of a webhook attempt.',
  }),
  webhookConcurrency: integer('WEBHOOK_CONCURRENCY', {
    default: 64,
    min: 1,
    max: 1_024,
    about: 'Concurrent webhook attempts in a worker.',
  }),
  webhookPerEndpoint: integer('WEBHOOK_PER_ENDPOINT', {
    default: 16,
    min: 1,
    max: 64,
    about: 'Maximum number of concurrent webhook attempts for one endpoint.',
  }),
} as const satisfies Record<string, Setting>;
