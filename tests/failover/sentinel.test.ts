import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startGuard } from '@millrace/local/process/guard';
import { loadConfig } from '@millrace/shared/process/config';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi } from '../../apps/api/src/server.ts';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { type SentinelSetup, startSentinels } from '../support/sentinels.ts';

let setup: SentinelSetup;
let millrace: Millrace;
let folder: Awaited<ReturnType<typeof makeModelFolder>>;
let stop = async () => {};

beforeAll(async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-sentinels-'));
  const guard = startGuard();
  setup = await startSentinels(dir, guard);
  stop = async () => {
    await setup.stop();
    await guard.close();
    await rm(dir, { recursive: true, force: true });
  };
  folder = await makeModelFolder(['rows']);
  millrace = await startMillrace({ modelsDir: folder.dir, models: ['rows'], env: setup.env });
});
afterAll(async () => {
  await millrace?.close();
  await stop();
  await folder?.remove();
});

let used = 0;
const predict = (headers: Record<string, string> = {}) => {
  used += 1;
  return millrace.predict('rows', { input: { x: [[used, 4]] } }, headers);
};
const status = async (url: string) => ((await (await fetch(`${url}/readyz`)).json()) as { status: string }).status;

test('the sentinels name the primary of both stores, and the new primary after each failover', async () => {
  expect((await predict({ prefer: 'wait=10' })).status).toBe(200);
  for (const pair of ['queue', 'cache'] as const) {
    const from = await setup.primaryPort(pair);
    await setup.failover(pair);
    const to = await setup.untilMoved(pair, from);
    expect(to).not.toBe(from);
    await expect.poll(async () => (await predict({ prefer: 'wait=10' })).status).toBe(200);
    for (const url of [millrace.url, millrace.workers[0]?.url as string])
      await expect.poll(() => status(url)).toBe('ready');
  }
  const promised = await predict();
  expect(promised.status).toBe(202);
  await expect
    .poll(async () => (await millrace.request(`/v1/predictions/${promised.body.id}?wait=5`)).body.status)
    .toBe('succeeded');
});

test.each([
  ['another name', { REDIS_SENTINEL_PRIMARY: 'other' }, 'has no primary of that name: check REDIS_SENTINEL_PRIMARY'],
  ['another password', { REDIS_SENTINEL_PASSWORD: 'wrong' }, 'WRONGPASS'],
  [
    'a port without a sentinel',
    { REDIS_SENTINELS: '127.0.0.1:1' },
    'sentinel 127.0.0.1:1 does not respond: check REDIS_SENTINELS',
  ],
])('with %s the API does not start and reports the reason', async (_, env, reason) => {
  const config = loadConfig({ ...millrace.env, ...env });
  await expect(startApi(config, pino({ level: 'silent' }))).rejects.toThrow(
    new RegExp(`^The queue Redis \\(REDIS_URL\\) cannot be reached: .*${reason}`),
  );
});
