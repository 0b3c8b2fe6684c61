/**
 * Runs this code on the state of an installation of the last release (fixtures/, written by make-fixture.ts): no
 * prediction is lost.
 */

import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findKeyed } from '@millrace/shared/ledger/ledger';
import { createPool } from '@millrace/shared/postgres/db';
import { migrate } from '@millrace/shared/postgres/migrate';
import { MIGRATIONS_DIR } from '@millrace/shared/postgres/migration-files';
import { newPredictionId } from '@millrace/shared/predictions/ids';
import { connectRedis } from '@millrace/shared/redis/connection';
import pg from 'pg';
import pino from 'pino';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createIdempotency } from '../../apps/api/src/predictions/idempotency-claims.ts';
import { fingerprintOf } from '../../apps/api/src/predictions/request-fingerprint.ts';
import { asAdmin, urlOfDatabase } from '../services/template.ts';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis } from '../support/test-redis.ts';
import { type Fixture, type InstallationState, type KeyState, writeKeys, writeTables } from './state.ts';

const MODEL = 'drug-interaction-similarity';
const HOUR_MS = 3_600_000;
const fixture = JSON.parse(await readFile(path.join(import.meta.dirname, 'fixtures/0.1.0.json'), 'utf8')) as Fixture;
const prefix = testPrefix();
const database = `upgrade_${prefix.replace(/\W/g, '_')}`;
let millrace: Millrace;

/** The deadlines of the fixture have passed long ago. Open predictions get new deadlines, and all other data stays. */
function withDeadlines({ tables, keys, migrations }: InstallationState, deadlineMs: number): InstallationState {
  const predictions = (tables.predictions as { expires_at: number | null }[]).map((row) =>
    row.expires_at === null ? row : { ...row, expires_at: deadlineMs },
  );
  return { migrations, tables: { ...tables, predictions }, keys: keys.map((key) => withDeadline(key, deadlineMs)) };
}

function withDeadline(key: KeyState, deadlineMs: number): KeyState {
  if (!/^:\{s\d+\}:p:/.test(key.name)) return key;
  const state = Buffer.from(key.values[0] as string, 'base64');
  // In a state without a deadline these characters are zeros.
  if (state.toString('latin1', 26, 39) !== '0000000000000') state.write(String(deadlineMs), 26, 'latin1');
  return { ...key, values: [state.toString('base64')] };
}

/** Creates a database with the release's state and migrates the database with this code. */
async function restore({ migrations, tables, keys }: InstallationState): Promise<string> {
  await asAdmin(inject('databaseUrl'), `CREATE DATABASE ${database}`);
  const url = urlOfDatabase(inject('databaseUrl'), database);
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-migrations-'));
  for (const name of migrations) await cp(path.join(MIGRATIONS_DIR, name), path.join(dir, name));
  await migrate(url, { dir });
  await rm(dir, { recursive: true });
  const db = new pg.Client({ connectionString: url });
  await db.connect();
  await db.query('TRUNCATE tenants CASCADE');
  await writeTables(db, tables);
  await db.end();
  await migrate(url);
  const redis = connectTestRedis();
  await writeKeys(redis, prefix, keys);
  redis.disconnect();
  return url;
}

beforeAll(async () => {
  const url = await restore(withDeadlines(fixture.state, Date.now() + HOUR_MS));
  millrace = await startMillrace({
    models: [MODEL],
    env: { DATABASE_URL: url, KEY_PREFIX: prefix, RETENTION_DAYS: '3650' },
  });
});
afterAll(async () => {
  await millrace?.close();
  await asAdmin(inject('databaseUrl'), `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
});

const fetched = (id: string) => millrace.request(`/v1/predictions/${id}?wait=30`);

test('every promise is kept, and every end stays unchanged', async () => {
  for (const { id, status, output } of fixture.predictions) {
    const { body } = await fetched(id);
    const wanted = status === 'queued' ? 'succeeded' : status;
    expect([id, body.status]).toEqual([id, wanted]);
    if (output !== null) expect(body.output).toEqual(output);
    expect(body.metadata).toMatchObject({ größe: 'ü' });
  }
});

test('each result equals the result of a new prediction with the same input', async () => {
  for (const { id, input, status } of fixture.predictions) {
    if (status !== 'queued') continue;
    const anew = await millrace.predict(MODEL, { input }, { prefer: 'wait=30', 'cache-control': 'no-store' });
    expect((await fetched(id)).body.output).toEqual(anew.body.output);
  }
});

test('an Idempotency-Key of the release still returns its prediction', async () => {
  const keyed = fixture.predictions.filter(({ idempotencyKey }) => idempotencyKey !== null);
  expect(keyed).toHaveLength(2);
  const { redisUrl, redisCluster, databaseUrl } = millrace.config;
  const redis = connectRedis(redisUrl, 'blocking', { cluster: redisCluster });
  const db = createPool({ databaseUrl, max: 1, statementTimeoutMs: 10_000, applicationName: 'fixture-test' });
  const idempotency = createIdempotency({
    redis,
    keys: millrace.keys,
    findInLedger: (wanted, sinceMs) => findKeyed(db, wanted, sinceMs),
    log: pino({ level: 'silent' }),
  });
  for (const { id, input, idempotencyKey } of keyed) {
    const n = Math.round((input as { similarities: number[][] }).similarities[0]![0]! * 100);
    const body = { input, metadata: { n, größe: 'ü' } };
    const key = idempotencyKey as string;
    // The metadata of the release has a number, which a request must not have any more: the API compares the content.
    const other = await millrace.predict(MODEL, { input, metadata: { größe: 'ü' } }, { 'idempotency-key': key });
    expect(other.body.code).toBe('idempotency_mismatch');
    const [tenant, now] = ['default', Date.now()];
    const claimed = { tenant, key, fingerprint: await fingerprintOf(MODEL, undefined, body), nowMs: now };
    const claim = await idempotency.claim({ ...claimed, id: newPredictionId(0, now) });
    expect(claim).toMatchObject({ kind: 'taken', id, same: true });
  }
  redis.disconnect();
  await db.end();
});

test('the queue is empty, no state was unreadable, and the model is served under its registered digest', async () => {
  const metrics = await (await fetch(`${millrace.url}/metrics`)).text();
  expect(metrics).toMatch(new RegExp(`^millrace_queue_waiting\\{model="${MODEL}"\\} 0$`, 'm'));
  expect(await millrace.workers[0]?.metric('millrace_live_states_unreadable_total')).toBe(0);
  expect((await (await fetch(`${millrace.url}/readyz`)).json()) as unknown).toMatchObject({ status: 'ready' });
  const { body } = await millrace.request(`/v1/models/${MODEL}/versions/1`);
  const [registered] = fixture.state.tables.model_versions as { digest: string }[];
  expect([body.status, body.reason, body.digest]).toEqual(['ready', null, registered?.digest]);
});
