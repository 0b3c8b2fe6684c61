import { loadConfig } from '@millrace/shared/process/config';
import { afterEach, expect, test } from 'vitest';
import { startHealth, type WorkerHealth } from './health.ts';
import { createWorkerMetrics } from './metrics.ts';

const never = () => new Promise<never>(() => {});
let health: WorkerHealth;
afterEach(() => health.close());

async function start(redis: { prove(): Promise<void> }): Promise<void> {
  const client = {
    query: async () => ({ rows: [{ standby: false, readOnly: false }] }),
    release: () => {},
    on: () => {},
    off: () => {},
  };
  const db = { connect: async () => client };
  const stores = { redis, db } as unknown as Parameters<typeof startHealth>[2];
  health = await startHealth(loadConfig({}), createWorkerMetrics(), stores);
  health.started();
}

async function get(
  path: string,
): Promise<{ status: number; body: { status: string; parts?: Record<string, string> } }> {
  const response = await fetch(health.url + path);
  return { status: response.status, body: (await response.json()) as { status: string } };
}

test('a worker is alive while its liveness check fails: a restart would not bring Redis back', async () => {
  await start({ prove: never });
  health.liveness(never);
  expect(await get('/healthz')).toEqual({ status: 200, body: { status: 'ok' } });
  health.liveness(async () => {
    throw new Error('Connection is closed.');
  });
  expect((await get('/healthz')).status).toBe(200);
  health.liveness(async () => 'work waits and none is taken');
  health.liveness(async () => 'ok');
  expect(await get('/healthz')).toEqual({ status: 503, body: { status: 'work waits and none is taken' } });
});

test('readiness names the part that is missing, within a second', async () => {
  await start({ prove: never });
  const startedAt = performance.now();
  const { status, body } = await get('/readyz');
  expect(performance.now() - startedAt).toBeLessThan(1_500);
  expect(status).toBe(503);
  expect(body.parts).toEqual({ redis: 'no reply within 900 ms', postgres: 'ok' });
});

test('a probe may add a query; other paths and methods are refused; no browser guesses the type', async () => {
  await start({ prove: async () => {} });
  const responses = await Promise.all(
    [
      ['GET', '/readyz?verbose=1'],
      ['HEAD', '/healthz'],
      ['POST', '/healthz'],
      ['GET', '/healthz/x'],
      ['GET', '//'],
    ].map(async ([method = '', path = '']) => {
      const response = await fetch(health.url + path, { method });
      return `${response.status} ${response.headers.get('x-content-type-options')}`;
    }),
  );
  expect(responses).toEqual(['200 nosniff', '200 nosniff', '405 nosniff', '404 nosniff', '404 nosniff']);
});
