/** Faults of the API, and rolling restarts of all processes. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Fault, slowest } from '../fault.ts';
import { startLoad } from '../load.ts';
import { nextNumber } from '../models.ts';

export const apiFaults: Fault[] = [
  {
    name: 'api-killed',
    how: 'kill -9 of an API during requests, whose clients repeat with their Idempotency-Key',
    stage: { apis: 2 },
    async run({ stage, random, short, note, expect }) {
      const keys: string[] = [];
      const load = startLoad(stage.client, random, {
        options: () => {
          const key = `k${nextNumber()}`;
          keys.push(key);
          return { mode: random() < 0.5 ? 'wait' : 'async', idempotencyKey: key };
        },
      });
      const times = short ? 4 : 20;
      for (let n = 0; n < times; n += 1) {
        await delay(300 + random() * 500);
        await stage.apis[Math.floor(random() * stage.apis.length)]?.kill();
        await stage.startApi();
      }
      const healedAt = Date.now();
      await load.stop();
      const unsure = stage.client.replies.filter(({ status }) => status === 0).length;
      const rows = await stage.sql<{ n: number }>(
        `SELECT count(*)::int AS n FROM (SELECT idempotency_hash FROM predictions WHERE idempotency_hash IS NOT NULL
           GROUP BY idempotency_hash HAVING count(*) > 1) AS twice`,
      );
      note(`${times} kills, ${unsure} requests interrupted, ${keys.length} keys`);
      expect(rows[0]?.n === 0, `${rows[0]?.n} keys have more than one prediction`);
      expect(
        stage.client.entries.length === keys.length,
        `${keys.length} keys, ${stage.client.entries.length} results`,
      );
      return healedAt;
    },
  },
  {
    name: 'rolling-restart',
    how: 'SIGTERM of each API and worker in turn under load, 50 times (8 in the short form)',
    stage: { apis: 2, workers: 2 },
    async run({ stage, random, short, note, expect, goal }) {
      const load = startLoad(stage.client, random);
      const times = short ? 8 : 50;
      const took: { tookMs: number }[] = [];
      for (let n = 0; n < times; n += 1) {
        const kind = n % 2 === 0 ? 'api' : 'worker';
        const [old] = kind === 'api' ? stage.apis : stage.workers;
        await (kind === 'api' ? stage.startApi() : stage.startWorker());
        await delay(random() * 200);
        const exit = await old!.stop();
        took.push(exit);
        expect(exit.code === 0 && exit.signal === null, `${kind} ended with ${exit.code ?? exit.signal}`);
      }
      const healedAt = Date.now();
      await load.stop();
      const bad = stage.client.replies.filter(({ status }) => status !== 200 && status !== 202);
      note(
        `${times} restarts, ${stage.client.replies.length} requests, ${bad.length} failed, the slowest stop took ${slowest(took)} ms`,
      );
      expect(bad.length === 0, `requests failed: ${JSON.stringify(stage.client.tally())}`);
      goal(slowest(took) <= 10_000, `a stop took ${slowest(took)} ms, longer than its deadline of 10 s`);
      return healedAt;
    },
  },
];
