/** Clocks that are days or hours off: of a worker from its start, and of a worker and an API while they run. */
import { setTimeout as delay } from 'node:timers/promises';
import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import type { Task } from '@millrace/shared/predictions/task';
import { DAY_MS, HOUR_MS, shiftedClock } from '../../support/shifted-clock.ts';
import type { Fault } from '../fault.ts';
import { startLoad } from '../load.ts';
import { quick } from '../models.ts';
import type { Program } from '../processes.ts';
import type { Stage } from '../stage.ts';

const SHIFTS: Readonly<Record<string, number>> = {
  '40 days ahead': 40 * DAY_MS,
  '40 days behind': -40 * DAY_MS,
  '2 hours ahead': 2 * HOUR_MS,
  '2 hours behind': -2 * HOUR_MS,
};

/** Resolves when readiness reports the expected state of the clock. */
async function untilClock({ url }: Program, isRight: boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
    const { parts } = (await response.json()) as { parts: { clock?: string } };
    if ((parts.clock === 'ok') === isRight) return;
    if (performance.now() > deadline) throw new Error(`readiness reports the clock: ${parts.clock}`);
    await delay(20);
  }
}

interface Kept {
  promises: number;
  days: number;
}

async function keptBy(stage: Stage): Promise<Kept> {
  const [kept] = await stage.sql<Kept>(
    `SELECT (SELECT count(*)::int FROM predictions WHERE status IN ('queued', 'running')) AS promises,
            (SELECT count(*)::int FROM pg_inherits WHERE inhparent = 'predictions'::regclass) AS days`,
  );
  return kept as Kept;
}

/** Inserts promises of a model without a worker. Only a wrong clock could end them during the fault. */
async function strand(stage: Stage, count: number): Promise<void> {
  const [now] = await stage.sql<{ ms: number }>('SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS ms');
  const createdAt = Math.floor((now as { ms: number }).ms) - 60_000;
  const ids = Array.from({ length: count }, () => newPredictionId(shardOf('absent'), createdAt));
  const task: Task = { shape: 'one', rows: ['{}'], keys: [null], digest: '0'.repeat(64), epoch: 0 };
  await stage.sql(
    `INSERT INTO predictions (id, tenant, model, version, digest, status, priority, task, metadata, result, created_at,
                              expires_at, attempts, promised)
     SELECT id, 'default', 'absent', '1', repeat('0', 64), 'queued', 'normal', $3, '', '', $2::bigint, $2::bigint + 3600000, 0, true
       FROM unnest($1::uuid[]) AS t (id)`,
    [ids, createdAt, JSON.stringify(task)],
  );
}

const STRANDED = 200;

export const clockFaults: Fault[] = [
  {
    name: 'worker-clocks-wrong',
    how: `the clocks of four workers, beside a correct worker, are set ${Object.keys(SHIFTS).join(', ')} under load, then corrected; ${STRANDED} promises of another model are open meanwhile`,
    stage: { workers: 1 },
    async run({ stage, random, note, expect }) {
      const wrong = await Promise.all(
        Object.values(SHIFTS).map((shiftMs) => stage.startWorker(shiftedClock(shiftMs, 'at-signal'))),
      );
      await strand(stage, STRANDED);
      const before = await keptBy(stage);
      const load = startLoad(stage.client, random);
      await delay(1_000);
      for (const worker of wrong) worker.signal('SIGUSR2');
      await Promise.all(wrong.map((worker) => untilClock(worker, false)));
      const taken = async () => Promise.all(wrong.map((worker) => worker.metric('millrace_worker_predictions_total{')));
      const first = await taken();
      await delay(5_000);
      const later = await taken();
      const skews = await Promise.all(wrong.map((worker) => worker.metric('millrace_clock_skew_seconds')));
      for (const worker of wrong) worker.signal('SIGUSR2');
      await Promise.all(wrong.map((worker) => untilClock(worker, true)));
      const healedAt = Date.now();
      await load.stop();
      const after = await keptBy(stage);
      const ended = await stage.sql<{ status: string; result: string; n: number }>(
        `SELECT status, min(result) AS result, count(*)::int AS n FROM predictions
          WHERE model = 'absent' AND status <> 'queued' GROUP BY status`,
      );
      note(`differences of ${skews.map((skew) => Math.round(skew)).join(', ')} s reported`);
      note(`${later.reduce((sum, n, at) => sum + n - (first[at] as number), 0)} results of workers with a wrong clock`);
      expect(after.days >= before.days, `${before.days - after.days} days of the ledger were dropped`);
      expect(ended.length === 0, `of ${STRANDED} open promises ended: ${JSON.stringify(ended)}`);
      // Predictions that run when the clock is set may end.
      const bad = stage.client.replies.filter(({ status }) => status !== 200 && status !== 202);
      expect(bad.length === 0, `requests failed: ${JSON.stringify(stage.client.tally())}`);
      await stage.sql(`DELETE FROM predictions WHERE model = 'absent'`);
      return healedAt;
    },
  },
  {
    name: 'api-clock-wrong',
    how: `the clock of one of two APIs is set ${Object.keys(SHIFTS).join(', ')} in turn under load, and corrected each time`,
    stage: { workers: 1 },
    async run({ stage, random, note, expect }) {
      const load = startLoad(stage.client, random);
      let refused = 0;
      for (const [words, shiftMs] of Object.entries(SHIFTS)) {
        const api = await stage.startApi(shiftedClock(shiftMs, 'at-signal'));
        await delay(500);
        // A load balancer that checks readiness removes the API. Until then its clients are refused.
        api.signal('SIGUSR2');
        await untilClock(api, false);
        api.leaving = true;
        const response = await fetch(`${api.url}/v1/models/quick/predictions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
          body: JSON.stringify({ input: quick().input }),
        });
        const { code } = (await response.json()) as { code?: string };
        expect(response.status === 503 && code === 'clock_wrong', `${words}: ${response.status} ${code}`);
        refused += 1;
        api.signal('SIGUSR2');
        await untilClock(api, true);
        api.leaving = false;
        await delay(500);
        await api.stop();
      }
      const healedAt = Date.now();
      await load.stop();
      const odd = Object.keys(stage.client.tally()).filter((status) => !/^(200|202|503 clock_wrong)/.test(status));
      note(`${refused} of ${refused} refused with 503 clock_wrong, ${stage.client.replies.length} requests`);
      expect(odd.length === 0, `other errors: ${odd.join(', ')}`);
      const [strange] = await stage.sql<{ n: number }>(
        `SELECT count(*)::int AS n FROM predictions
          WHERE abs(created_at - extract(epoch FROM clock_timestamp()) * 1000) > 600000`,
      );
      expect(strange?.n === 0, `${strange?.n} rows of the ledger have a time that is hours wrong`);
      return healedAt;
    },
  },
];
