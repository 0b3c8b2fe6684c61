/** Faults of workers and their engines. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from '../fault.ts';
import { startLoad } from '../load.ts';
import { entry, hanging, slow, TIMEOUT_MS } from '../models.ts';
import type { Stage } from '../stage.ts';

export const workerFaults: Fault[] = [
  {
    name: 'worker-killed',
    how: 'kill -9 of a worker at random moments, 100 times (10 in the short form), another started each time',
    stage: { workers: 2, env: { MAX_ATTEMPTS: '20' } },
    async run({ stage, random, short, note }) {
      const load = startLoad(stage.client, random);
      const times = short ? 10 : 100;
      for (let n = 0; n < times; n += 1) {
        await delay(100 + random() * 600);
        const victim = stage.workers[Math.floor(random() * stage.workers.length)];
        await victim?.kill();
        await stage.startWorker();
      }
      const healedAt = Date.now();
      await load.stop();
      note(`${times} kills`);
      return healedAt;
    },
  },
  {
    name: 'worker-paused',
    how: 'SIGSTOP of a worker during a run, for longer than its lock, then SIGCONT',
    stage: { workers: 1, env: { LOCK_MS: '2000' } },
    async run({ stage, random, note, expect }) {
      const [paused] = stage.workers;
      const load = startLoad(stage.client, random, {
        request: () => slow(150),
        clients: 6,
      });
      await delay(1_500);
      paused?.signal('SIGSTOP');
      await stage.startWorker();
      // The pause is longer than the lock, and longer than the time until other workers take its jobs.
      await delay(6_000);
      paused?.signal('SIGCONT');
      const healedAt = Date.now();
      await load.stop();
      let fenced = 0;
      for (let tries = 0; fenced === 0 && tries < 100; tries += 1) {
        fenced =
          (await paused?.metric(
            'millrace_worker_predictions_total{model="slow",version="1",status="succeeded",verdict="fenced"}',
          )) ?? 0;
        await delay(50);
      }
      note(`${fenced} stale results refused`);
      expect(fenced > 0, 'no stale result was refused: the worker was not paused during a run');
      return healedAt;
    },
  },
  {
    name: 'engine-hangs',
    how: 'inputs that never end among other inputs',
    async run({ stage, random, expect, note }) {
      const load = startLoad(stage.client, random, { clients: 4 });
      const startedAt = performance.now();
      const replies = await Promise.all(
        [hanging(), hanging()].map((request) => stage.client.submit(request, { waitS: 30 })),
      );
      const took = performance.now() - startedAt;
      await load.stop();
      expect(
        replies.every(({ entry }) => /inference_timeout/.test(entry?.seen?.detail ?? '')),
        `a hanging input did not fail in time: ${JSON.stringify(replies.map(({ entry, code }) => entry?.seen ?? code))}`,
      );
      note(`failed after ${(took / 1_000).toFixed(1)} s, at a limit of ${TIMEOUT_MS / 1_000} s`);
      return undefined;
    },
  },
  {
    name: 'engine-aborts',
    how: 'SIGABRT to an engine during a run, five times',
    async run({ stage, random, note, expect }) {
      const load = startLoad(stage.client, random, { request: () => ({ ...slow(100), mayFail: true }) });
      for (let n = 0; n < 5; n += 1) {
        // An engine that still starts runs nothing yet. The next engine is killed after its first result.
        await untilResult(stage);
        await delay(random() * 150);
        const children = stage.workers[0]?.children() ?? [];
        for (const pid of children) process.kill(pid, 'SIGABRT');
      }
      const healedAt = Date.now();
      await load.stop();
      const failed = stage.client.entries.filter(({ seen }) => seen?.status === 'failed');
      note(`${failed.length} of ${stage.client.entries.length} failed with their engine, each alone in its run`);
      const reasons = failed.filter(({ seen }) => /inference_failed/.test(seen?.detail ?? ''));
      expect(reasons.length === failed.length, 'a prediction failed without a reason');
      return healedAt;
    },
  },
  {
    name: 'poison',
    how: 'one failing input in a batch of 64',
    async run({ stage, expect }) {
      const poisonAt = 17;
      const replies = await Promise.all(
        Array.from({ length: 64 }, (_, n) => {
          const headers = { 'cache-control': 'no-store' };
          return stage.client.submit(entry(n === poisonAt ? 9 : n % 4), { headers });
        }),
      );
      const failed = replies.filter(({ entry }) => entry?.seen?.status === 'failed');
      expect(failed.length === 1, `${failed.length} of 64 failed`);
      expect(/inference_failed/.test(failed[0]?.entry?.seen?.detail ?? ''), 'the failing input has no reason');
      return undefined;
    },
  },
];

/** Resolves when a new request has a result. */
async function untilResult({ client }: Stage): Promise<void> {
  const before = client.replies.length;
  const deadline = performance.now() + 20_000;
  while (!client.replies.slice(before).some(({ status }) => status === 200)) {
    if (performance.now() > deadline) throw new Error('no request succeeded for 20 s');
    await delay(10);
  }
}
