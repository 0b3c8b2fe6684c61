/**
 * Tests processes whose clock differs from Postgres's clock: they take no work, expire and delete nothing, report the
 * difference, and continue when the clock is right.
 */

import { insertPromises } from '@millrace/shared/ledger/ledger';
import { sharedNow, startClock } from '@millrace/shared/postgres/clock';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import type { Task } from '@millrace/shared/predictions/task';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { promiseRow } from '../ledger/rows.ts';
import { useMillrace } from '../support/millrace.ts';
import { rawId } from '../support/raw-id.ts';
import { DAY_MS, HOUR_MS, shiftedClock } from '../support/shifted-clock.ts';
import { startApiProcess, startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

const MODEL = 'drug-interaction';
const pairs = ['Ibuprofen', 'Fluconazole', 'Acebutolol', 'Simvastatin', 'Acetaminophen', 'Metformin'];
let used = 0;
/** A new input on each call. */
const nextInput = () => {
  used += 1;
  return { drug_a: 'Warfarin', drug_b: pairs[used % pairs.length] };
};
const TASK: Task = { shape: 'one', rows: ['{}'], keys: [null], digest: '0'.repeat(64), epoch: 0 };
const anew = { 'cache-control': 'no-store' };

const millrace = useMillrace({ models: [MODEL], env: { MAX_CLOCK_SKEW_MS: '5000' } });
let pool: Pool;
const started: WorkerProcess[] = [];
beforeAll(() => {
  pool = createPool({
    databaseUrl: millrace.config.databaseUrl,
    max: 2,
    statementTimeoutMs: 10_000,
    applicationName: 'clock-test',
  });
});
afterAll(async () => {
  await Promise.all(started.map((process) => process.stop()));
  await pool.end();
});

const startWorker = async (env: Record<string, string>) => {
  const worker = await startWorkerProcess({ ...millrace.env, ...env });
  started.push(worker);
  return worker;
};
const readiness = async ({ url }: { url: string }) => {
  const response = await fetch(`${url}/readyz`);
  return { status: response.status, clock: ((await response.json()) as { parts: { clock: string } }).parts.clock };
};
const untilReady = (process: WorkerProcess) =>
  expect.poll(() => readiness(process)).toEqual({ status: 200, clock: 'ok' });

describe.each([
  ['40 days ahead', 40 * DAY_MS],
  ['40 days behind', -40 * DAY_MS],
  ['2 hours ahead', 2 * HOUR_MS],
  ['2 hours behind', -2 * HOUR_MS],
])('a worker that is %s', (words, shiftMs) => {
  test('takes no work, expires nothing and reports the difference until its clock is right', async () => {
    // The shifted worker is then the only worker of all roles.
    await millrace.stopWorkers('stop');
    const worker = await startWorker(shiftedClock(shiftMs, 'at-start'));
    const seconds = Math.abs(shiftMs / 1_000);
    await expect
      .poll(() => readiness(worker))
      .toMatchObject({
        status: 503,
        clock: expect.stringContaining(`The clock of this process is ${seconds.toFixed(1).slice(0, -3)}`),
      });
    const { clock } = await readiness(worker);
    expect(clock).toContain(
      words.endsWith('ahead') ? 'ahead of the clock of Postgres' : 'behind the clock of Postgres',
    );
    expect(clock).toContain('MAX_CLOCK_SKEW_MS');
    expect(Math.abs((await worker.metric('millrace_clock_skew_seconds')) - shiftMs / 1_000)).toBeLessThan(5);
    // The liveness check stays 200, because a restart does not correct a clock.
    expect((await fetch(`${worker.url}/healthz`)).status).toBe(200);

    const { status, body } = await millrace.predict(MODEL, { input: nextInput(), expires_in: 3_600 }, anew);
    expect(status).toBe(202);
    const createdAt = Math.floor(sharedNow()) - 10_000;
    const forgotten = promiseRow({
      id: newPredictionId(shardOf('nobody'), createdAt),
      createdAt,
      expiresAt: createdAt + HOUR_MS,
      model: 'nobody',
      digest: TASK.digest,
      task: JSON.stringify(TASK),
    });
    await insertPromises(pool, [forgotten]);
    // A correct worker's reconciler runs once, after several periods of the shifted worker. By then the shifted worker
    // would have acted.
    const right = await millrace.startWorker({ WORKER_ROLES: 'recorder' });
    await expect.poll(() => right.metric('millrace_reconciler_total')).toBeGreaterThan(0);
    const ends = await pool.query(`SELECT status FROM predictions WHERE id = ANY ($1::uuid[])`, [
      [forgotten.id, rawId(body.id)],
    ]);
    expect(ends.rows).toEqual([{ status: 'queued' }, { status: 'queued' }]);
    expect(await worker.metric('millrace_reconciler_total')).toBe(0);
    expect((await millrace.request(`/v1/predictions/${body.id}`)).body.status).toBe('queued');
    await pool.query('DELETE FROM predictions WHERE id = $1', [forgotten.id]);

    worker.signal('SIGUSR2');
    const end = await millrace.request(`/v1/predictions/${body.id}?wait=30`);
    expect(end.body.status).toBe('succeeded');
    await untilReady(worker);
    await worker.stop();
    await millrace.stopWorkers('stop');
    await millrace.startWorker();
  });
});

describe('a clock that is set while the process runs', () => {
  test('stops a worker, moves its work to another worker, and lets the first worker continue when the clock is right', async () => {
    await millrace.stopWorkers('stop');
    const worker = await startWorker(shiftedClock(-3 * DAY_MS, 'at-signal'));
    await untilReady(worker);
    expect((await millrace.predict(MODEL, { input: nextInput() }, { prefer: 'wait=30', ...anew })).status).toBe(200);
    // The worker counts the prediction after the end that the caller waits for.
    await expect.poll(() => worker.metric('millrace_worker_predictions_total')).toBe(1);
    worker.signal('SIGUSR2');
    await expect.poll(() => readiness(worker)).toMatchObject({ status: 503 });
    const accepted = await Promise.all(
      Array.from({ length: 8 }, () => millrace.predict(MODEL, { input: nextInput() }, anew)),
    );
    expect(accepted.map(({ status }) => status)).toEqual(accepted.map(() => 202));
    const right = await millrace.startWorker();
    for (const { body } of accepted)
      expect((await millrace.request(`/v1/predictions/${body.id}?wait=30`)).body.status).toBe('succeeded');
    expect(await worker.metric('millrace_worker_predictions_total')).toBe(1);
    await right.stop();
    worker.signal('SIGUSR2');
    await untilReady(worker);
    expect((await millrace.predict(MODEL, { input: nextInput() }, { prefer: 'wait=30', ...anew })).status).toBe(200);
  });

  test.each([
    [2 * HOUR_MS, 'ahead of'],
    [-40 * DAY_MS, 'behind'],
  ])('makes an API (%d ms) refuse predictions with 503 clock_wrong', async (shiftMs, side) => {
    const api = await startApiProcess({ ...millrace.env, ...shiftedClock(shiftMs, 'at-signal') });
    started.push(api);
    const post = async (headers: Record<string, string> = {}) => {
      const response = await fetch(`${api.url}/v1/models/${MODEL}/predictions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ input: nextInput() }),
      });
      const body = (await response.json()) as { id?: string; code?: string; detail?: string };
      return { ...body, status: response.status, retryAfter: response.headers.get('retry-after') };
    };
    await untilReady(api);
    expect((await post(anew)).status).toBe(202);
    const count = async () => (await pool.query('SELECT count(*)::int AS n FROM predictions')).rows[0].n;
    const before = await count();
    api.signal('SIGUSR2');
    await expect.poll(() => readiness(api)).toMatchObject({ status: 503, clock: expect.stringContaining(side) });
    for (const headers of [anew, { ...anew, prefer: 'wait=5' }, { ...anew, 'idempotency-key': `k${shiftMs}` }]) {
      const refused = await post(headers);
      expect(refused).toMatchObject({ status: 503, code: 'clock_wrong', retryAfter: '5' });
      expect(refused.detail).toContain(`${side} the clock of Postgres`);
    }
    expect(await count()).toBe(before);
    expect(Math.abs((await api.metric('millrace_clock_skew_seconds')) - shiftMs / 1_000)).toBeLessThan(5);
    api.signal('SIGUSR2');
    await untilReady(api);
    const again = await post({ ...anew, 'idempotency-key': `k${shiftMs}` });
    expect(again.status).toBe(202);
    await api.stop();
  });
});

describe('the measurement', () => {
  const quiet = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

  test("gives Postgres's time while the own clock is wrong, and reports each change once", async () => {
    const changes: (string | undefined)[] = [];
    const clock = await startClock({ db: pool, maxSkewMs: 5_000, log: quiet });
    clock.onChange((fault) => changes.push(fault));
    const real = Date.now();
    expect(clock.fault()).toBeUndefined();
    vi.useFakeTimers({ toFake: ['Date'], now: real + 40 * DAY_MS });
    try {
      expect(clock.fault()).toMatch(/^The clock of this process is 345\d{4}\.\d s ahead of the clock of Postgres/);
      expect(clock.skewS()).toBeCloseTo((40 * DAY_MS) / 1_000, -1);
      expect(sharedNow() - real).toBeLessThan(HOUR_MS);
      await vi.waitUntil(() => changes.length === 1, { timeout: 60_000 });
    } finally {
      vi.useRealTimers();
    }
    await vi.waitUntil(() => changes.length === 2, { timeout: 60_000 });
    expect(changes).toEqual([expect.stringContaining('ahead of'), undefined]);
    await clock.close();
  });

  test('accepts a difference below MAX_CLOCK_SKEW_MS', async () => {
    const clock = await startClock({ db: pool, maxSkewMs: 3_600_000, log: quiet });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_000_000 });
    try {
      expect(clock.fault()).toBeUndefined();
      expect(clock.skewS()).toBeGreaterThan(2_900);
    } finally {
      vi.useRealTimers();
    }
    await clock.close();
  });
});
