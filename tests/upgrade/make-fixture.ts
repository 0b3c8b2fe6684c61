/**
 * `node scripts/run.mjs tests/upgrade/make-fixture.ts` runs the last release, creates accepted, ended and waiting
 * predictions as in an installation, and writes its state to fixtures/. Run the program once for each release, with the
 * history of the repository.
 */
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { startServers } from '../chaos/servers.ts';
import { openStage } from '../chaos/stage.ts';
import { RELEASE, unpackRelease } from './release.ts';
import { type Fixture, type InstallationState, readKeys, readTables } from './state.ts';

const MODEL = 'drug-interaction-similarity';

const root = await unpackRelease();
const servers = await startServers(console.log);
const models = path.join(servers.dir, 'models');
await mkdir(models);
await cp(path.join(root, 'models', MODEL), path.join(models, MODEL), { recursive: true });
const stage = await openStage(servers, { root, apis: 1, workers: 1, models: [MODEL] });
const url = `${stage.apis[0]?.url}/v1`;
const predictions: Fixture['predictions'] = [];

async function submit(n: number, more: { wait?: boolean; key?: string; body?: object } = {}): Promise<string> {
  const input = { similarities: [[n / 100, 0.5, 0.25, 0.75, 1 - n / 100]] };
  const response = await fetch(`${url}/models/${MODEL}/predictions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(more.wait ? { prefer: 'wait=30' } : {}),
      ...(more.key ? { 'idempotency-key': more.key } : {}),
    },
    body: JSON.stringify({ input, metadata: { n, größe: 'ü' }, ...more.body }),
  });
  const { id, status, output } = (await response.json()) as { id: string; status: string; output: unknown };
  if (!response.ok) throw new Error(`request ${n} got ${response.status}`);
  predictions.push({ id, input, status, output: output ?? null, idempotencyKey: more.key ?? null });
  return id;
}

const statusOf = async (id: string) =>
  ((await (await fetch(`${url}/predictions/${id}`)).json()) as { status: string }).status;

// Computed, cached and recorded predictions.
for (let n = 1; n <= 5; n += 1) await submit(n, { wait: true, ...(n === 1 ? { key: 'computed' } : {}) });
await untilRecorded(5);
await stage.workers[0]?.stop();
// Waiting predictions: alone, behind an equal input, with a key, in another order, and a canceled prediction.
for (let n = 11; n <= 20; n += 1) await submit(n);
for (const n of [11, 12, 12]) await submit(n);
await submit(21, { key: 'waiting' });
await submit(22, { body: { priority: 'high' } });
await submit(23, { body: { priority: 'low' } });
const canceled = await submit(24);
await fetch(`${url}/predictions/${canceled}/cancel`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: '{}',
});
for (const prediction of predictions) prediction.status = await statusOf(prediction.id);

const db = new pg.Client({ connectionString: stage.databaseUrl });
await db.connect();
const state: InstallationState = {
  migrations: (await readdir(path.join(root, 'migrations'))).sort(),
  tables: await readTables(db),
  keys: await stage.withRedis((redis) => readKeys(redis, stage.env.KEY_PREFIX as string)),
};
await db.end();
const fixture: Fixture = { version: RELEASE.version, state, predictions };
const file = path.join(import.meta.dirname, `fixtures/${RELEASE.version}.json`);
await mkdir(path.dirname(file), { recursive: true });
await writeFile(file, `${JSON.stringify(fixture, null, 1)}\n`);
console.log(`${file}: ${predictions.length} predictions, ${state.keys.length} keys`);
await stage.close();
await servers.close();
process.exit(0);

async function untilRecorded(count: number): Promise<void> {
  for (;;) {
    const rows = await stage.sql(`SELECT FROM predictions WHERE status = 'succeeded'`);
    if (rows.length === count) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
