/** Routes that rotate the secrets of endpoints and of tenants. */

import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { newSecret } from '@millrace/shared/webhooks/secret';
import type { App } from '../http/type-provider.ts';
import { fromStore } from '../stores/store-errors.ts';
import type { WebhookRouteDeps } from './deps.ts';
import { rotateSecret } from './endpoint-table.ts';
import { idOf } from './params.ts';
import { rotateEndpointSecret, rotateSecret as rotateSecretSchema } from './route-schemas.ts';

export function registerSecrets(app: App, { db, tenantOf, now = sharedNow }: WebhookRouteDeps): void {
  app.post('/v1/webhook-endpoints/:id/rotate-secret', { schema: rotateEndpointSecret }, async (request) => {
    const id = idOf(request.params.id, 'endpoint_not_found');
    const rotation = await rotate(tenantOf(request), id, request.query.overlap);
    if (!rotation) throw new ApiError('endpoint_not_found', `No webhook endpoint has the id '${id}'.`);
    return rotation;
  });

  // The tenant's secret signs deliveries to URLs that predictions name.
  app.post('/v1/webhook-secret/rotate', { schema: rotateSecretSchema }, (request) =>
    rotate(tenantOf(request), null, request.query.overlap),
  );

  async function rotate(tenant: string, id: string | null, overlap = 86_400) {
    const secret = newSecret();
    const rotation = { next: secret, nowMs: now(), overlapMs: overlap * 1_000 };
    if (!(await fromStore('Postgres', rotateSecret(db, { tenant, id, ...rotation })))) return undefined;
    return { secret, previous_signs_until: new Date(rotation.nowMs + rotation.overlapMs).toISOString() };
  }
}
