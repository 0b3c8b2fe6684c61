/**
 * A new API process beside busy cores: each store replies in time, but takes longer to open a connection than a request may wait. The
 * process listens only when the connections of its first requests are open, so that no request reports a store as absent.
 */
import { createPool } from '@millrace/shared/postgres/db';
import { createApiKey } from '@millrace/shared/tenants/api-keys';
import pino from 'pino';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { startStallingProxy } from '../postgres/stalling-proxy.ts';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';

type Proxy = Awaited<ReturnType<typeof startStallingProxy>>;

/** The time of a store to open a connection, more than twice the time limit of a request. */
const OPEN_MS = 2_000;
const STORE_TIMEOUT_MS = 800;

let folder: Awaited<ReturnType<typeof makeModelFolder>>;
let millrace: Millrace;
let proxies: Proxy[] = [];
let api: RunningApi | undefined;

beforeAll(async () => {
  folder = await makeModelFolder(['rows']);
  millrace = await startMillrace({ modelsDir: folder.dir, models: ['rows'] });
  proxies = await Promise.all(
    [inject('redisUrl'), millrace.config.databaseUrl].map((url) => startStallingProxy(url, { openMs: OPEN_MS })),
  );
});
afterAll(async () => {
  await api?.close(5_000);
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await millrace?.close();
  await folder?.remove();
});

test('the first requests of a new process are served while the stores open connections slowly', async () => {
  const { keys, db } = await makeKeys();
  await db.end();
  const [queue, postgres] = proxies;
  api = await startApi(
    {
      ...millrace.config,
      redisUrl: queue?.url ?? '',
      cacheRedisUrl: millrace.config.redisUrl,
      databaseUrl: postgres?.url ?? '',
      storeTimeoutMs: STORE_TIMEOUT_MS,
      apiKeysRequired: true,
    },
    pino({ level: 'silent' }),
  );
  const { url } = api;
  const send = async (n: number) => {
    const response = await fetch(`${url}/v1/models/rows/predictions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${keys[n]}`,
        prefer: n % 2 === 0 ? 'wait=30' : 'respond-async',
        ...(n % 3 === 0 ? { 'idempotency-key': `first-${n}` } : {}),
      },
      body: JSON.stringify({ input: { x: [[n, 2]] } }),
    });
    const { status, code, detail } = (await response.json()) as Record<string, string>;
    return [response.status, status, code, detail];
  };
  // All at once, directly after the start.
  const responses = await Promise.all(keys.map((_, n) => send(n)));
  expect(responses).toEqual(
    keys.map((_, n) => [n % 2 === 0 ? 200 : 202, n % 2 === 0 ? 'succeeded' : expect.any(String), undefined, undefined]),
  );
});

async function makeKeys() {
  const db = createPool({
    databaseUrl: millrace.config.databaseUrl,
    max: 1,
    statementTimeoutMs: 5_000,
    applicationName: 'slow-connections-test',
  });
  const keys: string[] = [];
  for (let n = 0; n < 4; n += 1)
    keys.push((await createApiKey(db, { tenant: `slow-${n}`, name: 'test', expiresAt: null })).key);
  return { keys, db };
}
