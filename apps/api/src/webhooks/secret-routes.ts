/** Routes that rotate the secrets of endpoints and of tenants. */

import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { publicId } from '@millrace/shared/predictions/public-ids';
import { newSecret } from '@millrace/shared/webhooks/secret';
import { bodyOf } from '../http/action-body.ts';
import { fromStore } from '../http/store-errors.ts';
import type { App } from '../http/type-provider.ts';
import type { WebhookRouteDeps } from './deps.ts';
import { rotateSecret, tenantSecrets } from './endpoint-table.ts';
import { idOf } from './params.ts';
import * as routes from './route-schemas.ts';

export function registerSecrets(app: App, { db, tenantOf, now = sharedNow }: WebhookRouteDeps): void {
  app.post('/v1/webhook-endpoints/:id/secret/rotate', { schema: routes.rotateEndpointSecret }, async (request) => {
    const id = idOf(request.params.id, 'endpoint_not_found');
    const rotation = await rotate(tenantOf(request), id, bodyOf(request).overlap_s);
    if (!rotation) throw new ApiError('endpoint_not_found', `No webhook endpoint has the id '${publicId('we', id)}'.`);
    return rotation;
  });

  // The tenant's secret signs deliveries to URLs that predictions name.
  app.get('/v1/webhook-secret', { schema: routes.getSecret, config: { etag: true } }, async (request) => {
    const stored = await fromStore('Postgres', tenantSecrets(db, tenantOf(request)));
    const [current, previous] = stored.filter(({ until }) => until === null || now() < until);
    return { configured: current !== undefined, previous_signs_until_at: iso(previous?.until ?? null) };
  });

  app.post('/v1/webhook-secret/rotate', { schema: routes.rotateSecret }, (request) =>
    rotate(tenantOf(request), null, bodyOf(request).overlap_s),
  );

  async function rotate(tenant: string, id: string | null, overlap = 86_400) {
    const secret = newSecret();
    const rotation = { next: secret, nowMs: now(), overlapMs: overlap * 1_000 };
    if (!(await fromStore('Postgres', rotateSecret(db, { tenant, id, ...rotation })))) return undefined;
    return { secret, previous_signs_until_at: iso(rotation.nowMs + rotation.overlapMs) };
  }
}

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
