/** Mounts the webhook routes as the API does, with a worker on the same stores and a receiver. */

import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import Fastify, { type FastifyInstance } from 'fastify';
import type { TSchema } from 'typebox';
import { afterAll, beforeAll } from 'vitest';
import { sendProblem } from '../../apps/api/src/http/error-handler.ts';
import { compileValidator } from '../../apps/api/src/http/validation.ts';
import { createWebhookCheck } from '../../apps/api/src/webhooks/check-target.ts';
import { registerWebhooks } from '../../apps/api/src/webhooks/routes.ts';
import { rawId } from '../support/raw-id.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { useTestDatabase } from '../support/test-database.ts';
import { type Started, startWorkerOn } from './started.ts';

export const idFor = (model: string) => newPredictionId(shardOf(model), Date.now());

// biome-ignore lint/suspicious/noExplicitAny: the tests check the members of a body.
type Loose = any;
type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** Prepares the API for the tests of a file. All members are available from beforeAll on. */
export function useWebhookApi() {
  const database = useTestDatabase();
  const api = {
    receiver: undefined as unknown as Receiver,
    started: undefined as unknown as Started,
    /** The tenant of the requests. */
    tenant: 'default',
    async request(method: Method, url: string, payload?: object) {
      const response = await app.inject({ method, url, ...(payload ? { payload } : {}) });
      const body: Loose = response.body ? response.json() : undefined;
      return { status: response.statusCode, headers: response.headers, body };
    },
    /** Registers an endpoint at a path of the receiver, by default for no model. */
    register: async (path: string, more: object = {}) =>
      (await api.request('POST', '/v1/webhook-endpoints', { url: api.receiver.url + path, models: ['none'], ...more }))
        .body,
    /** Resolves when `count` attempts at an endpoint have been written. */
    deliveredTo: (endpoint: string, count: number) =>
      api.started.until(count, (attempt) => attempt.endpoint === rawId(endpoint)),
  };
  let app: FastifyInstance;
  beforeAll(async () => {
    api.receiver = await startReceiver();
    api.started = await startWorkerOn(database.url);
    app = Fastify();
    app.setValidatorCompiler<TSchema>(({ schema, httpPart = 'body' }) =>
      compileValidator(schema, httpPart, { bodyOf: () => undefined, met: () => false }),
    );
    app.setErrorHandler((error, _request, reply) => sendProblem(error, reply, app.log));
    const config = { webhookHttp: true, webhookNetworks: ['127.0.0.1/32'] };
    registerWebhooks(app, {
      db: api.started.db,
      timers: api.started.timers,
      checkWebhook: createWebhookCheck(config, async () => ['127.0.0.9']),
      tenantOf: () => api.tenant,
      publicUrl: 'https://millrace.example',
      modelNames: async () => new Set(['m']),
    });
    await app.ready();
  });
  afterAll(async () => {
    await app.close();
    await api.started.close();
    await api.receiver.close();
  });
  return api;
}
