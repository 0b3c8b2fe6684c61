/** Registers all webhook routes. */
import type { App } from '../http/type-provider.ts';
import { registerDeliveries } from './delivery-routes.ts';
import type { WebhookRouteDeps } from './deps.ts';
import { registerEndpoints } from './endpoint-routes.ts';
import { registerFeed } from './feed-routes.ts';
import { registerSecrets } from './secret-routes.ts';

export type { WebhookRouteDeps } from './deps.ts';

export function registerWebhooks(app: App, deps: WebhookRouteDeps): void {
  registerEndpoints(app, deps);
  registerSecrets(app, deps);
  registerDeliveries(app, deps);
  registerFeed(app, deps);
}
