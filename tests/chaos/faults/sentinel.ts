/** Redis Sentinel promotes replicas under load, for a dead primary and for healthy primaries. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type SentinelSetup, startSentinels } from '../../support/sentinels.ts';
import { type Context, type Fault, firstResultS, slowest } from '../fault.ts';
import { startLoad } from '../load.ts';

function failover(name: string, how: string, act: (setup: SentinelSetup) => Promise<void>): Fault {
  return {
    name,
    how,
    stage: { apis: 0, workers: 0 },
    async run(context) {
      const { stage, random, note } = context;
      const setup = await start(context);
      const from = await setup.primaryPort('queue');
      const load = startLoad(stage.client, random, {
        options: () => ({ mode: random() < 0.5 ? 'wait' : 'async', waitS: 2 }),
      });
      await delay(1_000);
      const beganAt = Date.now();
      await act(setup);
      await setup.untilMoved('queue', from);
      const healedAt = Date.now();
      await delay(3_000);
      await load.stop();
      const refused = stage.client.replies.filter(({ status, atMs }) => status === 503 && atMs > beganAt);
      note(
        `a new primary after ${((healedAt - beganAt) / 1_000).toFixed(1)} s, and the first new result ${firstResultS(stage, healedAt)} later; ${refused.length} refused with 503, the slowest in ${slowest(refused)} ms`,
      );
      return healedAt;
    },
  };
}

async function start({ stage, servers }: Context): Promise<SentinelSetup> {
  const setup = await startSentinels(path.join(servers.dir, `sentinels-${Date.now()}`), servers.guard);
  stage.atEnd(() => setup.stop());
  await stage.startWorker(setup.env);
  await stage.startApi(setup.env);
  await stage.untilServed();
  return setup;
}

export const sentinelFaults: Fault[] = [
  failover(
    'sentinel-failover',
    'kill -9 of the queue Redis and of one of three sentinels under load; the other sentinels promote its replica (down-after-milliseconds 1000)',
    async (setup) => {
      await setup.killSentinel();
      await setup.killPrimary('queue');
    },
  ),
  failover(
    'sentinel-switch',
    'SENTINEL FAILOVER of the queue Redis and of the cache Redis under load: the old primaries become replicas',
    async (setup) => {
      await setup.failover('queue');
      await setup.failover('cache');
    },
  ),
];
