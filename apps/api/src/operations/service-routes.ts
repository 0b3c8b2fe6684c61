/** `GET /v1`: the version, the limits and the features of this server. A client chooses by feature, never by version. */

import { API_VERSION } from '@millrace/shared/predictions/event-constants';
import type { Config } from '@millrace/shared/process/config';
import type { FastifyInstance } from 'fastify';
import { WAIT_MAX_S } from '../http/request-headers.ts';
import { getService } from './route-schemas.ts';

/** The largest page of a list. */
const LIST_MAX = 100;

/** Each feature that a client of an older server must not use. New capabilities add their name. */
export const FEATURES = [
  'bulk_actions',
  'cancel_by_key',
  'files',
  'idempotency_keys',
  'idempotent_actions',
  'if_match',
  'include_input',
  'list_filters',
  'on_error_row',
  'open_inference',
  'stats',
  'webhooks',
  'workers',
] as const;

export function registerService(app: FastifyInstance, config: Config): void {
  const service = {
    name: 'millrace',
    version: '0.1.0',
    api_version: API_VERSION,
    limits: {
      body_bytes: config.bodyLimit,
      json_bytes: Math.min(config.jsonLimit, config.bodyLimit),
      rows: config.maxRows,
      metadata_bytes: config.maxMetadata,
      wait_s: WAIT_MAX_S,
      list: LIST_MAX,
    },
    features: FEATURES,
  };
  app.get('/v1', { schema: getService }, async () => service);
}
