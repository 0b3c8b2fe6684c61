/**
 * Upgrades from the last release, with data and under load. The faults run the release's code from the history of the
 * repository, so the short form leaves them out. `npm run test:upgrade` runs only these faults.
 */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { migrate } from '@millrace/shared/postgres/migrate';
import { RELEASE, unpackRelease } from '../../upgrade/release.ts';
import { type Context, type Fault, slowest } from '../fault.ts';
import { startLoad } from '../load.ts';
import { entry, quick, slow } from '../models.ts';
import { ROOT } from '../processes.ts';
import type { Stage, StageSettings } from '../stage.ts';

let release: Promise<string> | undefined;

/** A stage that runs the last release. */
async function onRelease(settings: StageSettings): Promise<StageSettings> {
  release ??= unpackRelease();
  return { ...settings, root: await release };
}

const APIS = 2;
const WORKERS = 2;
const BACKLOG = 150;

/** Runs waiting promises, repeated inputs and waiting callers until `stop`. */
async function startMixedLoad({ stage, random }: Pick<Context, 'stage' | 'random'>) {
  const keyed = () => ({ mode: 'async' as const, idempotencyKey: `k-${random()}` });
  const waiting = () => ({ mode: random() < 0.5 ? ('wait' as const) : ('async' as const), waitS: 10 });
  const loads = [
    startLoad(stage.client, random, { clients: 4, options: waiting }),
    startLoad(stage.client, random, { clients: 2, request: () => quick(), options: keyed }),
    startLoad(stage.client, random, { clients: 2, request: () => entry(Math.floor(random() * 4)), options: waiting }),
  ];
  await Promise.all(Array.from({ length: BACKLOG }, () => stage.client.submit(slow(20), { mode: 'async' })));
  return { stop: () => Promise.all(loads.map((load) => load.stop())) };
}

/** Replaces the processes singly by processes of `root`: starts the new process, then stops the old process. */
async function roll(stage: Stage, kind: 'api' | 'worker', root: string, { expect }: Context): Promise<void> {
  stage.root = root;
  for (const old of [...(kind === 'api' ? stage.apis : stage.workers)]) {
    if (kind === 'api') await stage.startApi();
    else await stage.startWorker();
    await stage.untilServed();
    const { code } = await old.stop();
    expect(code === 0, `the ${kind} of the earlier version ended with ${code}`);
    await delay(500);
  }
}

/** Judges every reply that is neither a result nor a promise, by its text. */
function judgeReplies({ stage, note, expect, goal }: Context): void {
  const tally = Object.entries(stage.client.tally());
  const refused = tally.filter(([name]) => name !== '200' && name !== '202');
  const count = refused.reduce((sum, [, times]) => sum + times, 0);
  note(`${stage.client.replies.length} requests, ${count} refused or interrupted`);
  // Both replies have Retry-After and occur when a store is slow, which a busy machine may miss. The 409 is for a
  // repeated request.
  const summary = `refused or interrupted: ${JSON.stringify(Object.fromEntries(refused))}`;
  expect(
    refused.every(([name]) => name.startsWith('503 ') || name.startsWith('409 idempotency_in_progress')),
    summary,
  );
  goal(count === 0, summary);
}

export const upgradeFaults: Fault[] = [
  {
    name: 'upgrade',
    how: `rolling upgrade from ${RELEASE.version} under load, by docs/operations.md: migrate, workers, API; then back: API, workers`,
    long: true,
    stage: () => onRelease({ apis: APIS, workers: WORKERS }),
    async run(context) {
      const { stage, note } = context;
      const old = stage.root;
      const load = await startMixedLoad(context);
      await delay(1_000);
      const applied = await migrate(stage.databaseUrl, { dir: path.join(ROOT, 'migrations') });
      note(`${applied.length} migrations beside the running release`);
      await roll(stage, 'worker', ROOT, context);
      await roll(stage, 'api', ROOT, context);
      await delay(1_000);
      note(`${stage.client.entries.length} accepted during the upgrade`);
      await roll(stage, 'api', old, context);
      await roll(stage, 'worker', old, context);
      await delay(1_000);
      await load.stop();
      judgeReplies(context);
      return Date.now();
    },
  },
  {
    name: 'old-beside-new',
    how: `API and workers of ${RELEASE.version} and of this code side by side under load; a worker of each is killed, and the queue Redis is emptied`,
    long: true,
    stage: () => onRelease({ apis: 1, workers: 1 }),
    async run(context) {
      const { stage, note } = context;
      const old = stage.root;
      await migrate(stage.databaseUrl, { dir: path.join(ROOT, 'migrations') });
      stage.root = ROOT;
      await Promise.all([stage.startApi(), stage.startWorker()]);
      await stage.untilServed();
      const load = await startMixedLoad(context);
      await delay(2_000);
      for (const root of [old, ROOT]) {
        const [victim] = stage.workers;
        await victim?.kill();
        stage.root = root;
        await stage.startWorker();
        await delay(1_000);
      }
      // Of the time before Redis is emptied.
      judgeReplies(context);
      await stage.withRedis((redis) => redis.flushall());
      const healedAt = Date.now();
      await delay(2_000);
      await load.stop();
      const lost = stage.client.replies.filter(({ atMs, tookMs }) => atMs - tookMs < healedAt && atMs >= healedAt);
      const { 200: served = 0, 202: accepted = 0, ...refused } = stage.client.tally(healedAt);
      const times = Object.values(refused).reduce((sum, count) => sum + count, 0);
      note(`after the data was lost ${served + accepted + times} replies, ${times} refused ${JSON.stringify(refused)}`);
      note(`${lost.length} callers waited when the data was lost, and the last reply came after ${slowest(lost)} ms`);
      note(`${stage.client.entries.filter(({ promised }) => promised).length} promises`);
      return healedAt;
    },
  },
];
