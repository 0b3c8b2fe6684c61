/** Faults of the queue Redis and the cache Redis. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Context, type Fault, slowest } from '../fault.ts';
import { startLoad } from '../load.ts';
import { quick, slow } from '../models.ts';

/** Kills Redis under load, waits, and starts Redis again on its append-only file. */
function restarted(seconds: number): Fault {
  return {
    name: `redis-restarted-${seconds}s`,
    how: `kill -9 of the queue Redis under load, started again on its AOF after ${seconds} s`,
    long: seconds > 10,
    async run({ stage, servers, random, note, expect }) {
      const load = startLoad(stage.client, random);
      await delay(1_500);
      const killedAt = Date.now();
      await servers.redis.kill();
      await Promise.all(Array.from({ length: 5 }, () => stage.client.submit(quick())));
      await delay(killedAt + seconds * 1_000 - Date.now());
      const late = stage.client.replies.filter(({ status, atMs }) => status === 503 && atMs > killedAt);
      await servers.redis.start();
      const healedAt = Date.now();
      await delay(1_500);
      await load.stop();
      note(`${late.length} refused with 503, the slowest in ${slowest(late)} ms`);
      expect(late.length > 0, 'no request was refused while Redis was down');
      return healedAt;
    },
  };
}

async function loadWaiting({ stage }: Context, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => stage.client.submit(slow(5), { mode: 'async' })));
}

export const redisFaults: Fault[] = [
  restarted(1),
  restarted(10),
  restarted(60),
  {
    name: 'redis-loses-everything',
    how: 'kill -9 of the queue Redis, its files deleted, started empty',
    async run(context) {
      const { stage, servers, note } = context;
      await loadWaiting(context, 200);
      await servers.redis.kill();
      await servers.redis.wipe();
      const done = await stage.sql<{ n: number }>("SELECT count(*)::int AS n FROM predictions WHERE status = 'queued'");
      await servers.redis.start();
      note(`${done[0]?.n} promises were open when the data was lost`);
      return Date.now();
    },
  },
  {
    name: 'redis-stalls',
    how: 'SIGSTOP of the queue Redis for 10 s under load',
    async run({ stage, servers, random, note, expect, goal }) {
      const load = startLoad(stage.client, random, {
        options: () => ({ mode: random() < 0.5 ? 'wait' : 'async', waitS: 2 }),
      });
      await delay(1_000);
      const from = Date.now();
      servers.redis.freeze();
      await delay(3_000);
      const sentAt = Date.now();
      const fresh = await Promise.all(Array.from({ length: 10 }, () => stage.client.submit(quick())));
      const health = performance.now();
      const ready = await fetch(`${stage.apis[0]?.url}/readyz`).then(
        ({ status }) => status,
        () => 0,
      );
      const healthMs = Math.round(performance.now() - health);
      await delay(Math.max(0, 10_000 - (Date.now() - from)));
      servers.redis.thaw();
      const healedAt = Date.now();
      const refused = stage.client.replies.filter(
        ({ status, atMs }) => status === 503 && atMs >= from && atMs <= healedAt,
      );
      await delay(1_000);
      await load.stop();
      note(
        `${refused.length} refused with 503, the slowest in ${slowest(refused)} ms; readiness returned ${ready} in ${healthMs} ms`,
      );
      expect(
        fresh.every(({ status }) => status === 503),
        `sent at ${sentAt}, not all got 503: ${JSON.stringify(stage.client.tally(sentAt))}`,
      );
      goal(slowest(refused) <= 1_000, `a 503 took ${slowest(refused)} ms`);
      // Hits come from the cache Redis: the API is degraded, and stays behind its balancer.
      expect(ready === 200, `readiness returned ${ready}`);
      goal(healthMs <= 1_000, `readiness took ${healthMs} ms`);
      return healedAt;
    },
  },
  {
    name: 'redis-full',
    how: 'maxmemory below the used memory, under load; then raised',
    async run({ stage, random, note, expect }) {
      const load = startLoad(stage.client, random);
      await delay(1_000);
      const before = await stage.client.submit(quick(), { mode: 'async' });
      await stage.withRedis((redis) => redis.config('SET', 'maxmemory', '1mb'));
      // The write of a waiting caller fails at once. The API reads the memory once per second, and keeps the promises that it returns
      // until then.
      const noticedBy = Date.now() + 30_000;
      for (let noticed = false; !noticed && Date.now() < noticedBy; ) {
        noticed = (await stage.client.submit(quick(), { mode: 'async' })).status === 429;
        await delay(50);
      }
      const requests = Array.from({ length: 10 }, (_, n) =>
        stage.client.submit(quick(), { mode: n % 2 ? 'wait' : 'async' }),
      );
      const late = await Promise.all(requests);
      const read = before.entry?.id ? await stage.client.fetch(before.entry.id, 1) : undefined;
      await stage.withRedis((redis) => redis.config('SET', 'maxmemory', '0'));
      const healedAt = Date.now();
      await delay(1_000);
      await load.stop();
      const refused = late.filter(({ status }) => status === 503 || status === 429);
      note(`${refused.length} of ${late.length} refused: ${[...new Set(refused.map(({ code }) => code))]}`);
      expect(refused.length === late.length, `a full Redis accepted work: ${late.map(({ status }) => status)}`);
      expect(
        refused.every(({ retryAfter }) => retryAfter !== null),
        'a refusal had no Retry-After',
      );
      expect(typeof read === 'object' || read === 'pending', 'a prediction could not be read from a full Redis');
      return healedAt;
    },
  },
  {
    name: 'cache-gone',
    how: 'kill -9 of the cache Redis under load',
    async run({ stage, servers, random, note, expect }) {
      const load = startLoad(stage.client, random);
      await delay(1_000);
      const from = Date.now();
      await servers.cache.kill();
      await delay(4_000);
      const during = stage.client.replies.filter(({ atMs }) => atMs > from);
      const bad = during.filter(({ status }) => status !== 200 && status !== 202);
      await servers.cache.start();
      const healedAt = Date.now();
      await load.stop();
      note(`${during.length} results meanwhile, the slowest in ${slowest(during)} ms`);
      expect(bad.length === 0, `without a cache: ${JSON.stringify(stage.client.tally(from))}`);
      return healedAt;
    },
  },
  {
    name: 'events-cut',
    how: 'CLIENT KILL of the event connections and XTRIM of the streams while 50 callers wait, repeatedly',
    async run({ stage, note, expect, goal }) {
      let cuts = 0;
      let done = false;
      const cutting = stage.withRedis(async (redis) => {
        while (!done) {
          const clients = String(await redis.client('LIST')).split('\n');
          for (const line of clients.filter((client) => /name=millrace-api-events/.test(client))) {
            const id = /\bid=(\d+)/.exec(line)?.[1];
            if (id) await redis.client('KILL', 'ID', id);
            cuts += 1;
          }
          for (let shard = 0; shard < 16; shard += 1) await redis.xtrim(stage.keys.events(shard), 'MAXLEN', 0);
          await delay(20);
        }
      });
      const replies = await Promise.all(Array.from({ length: 50 }, () => stage.client.submit(quick())));
      const slow = slowest(replies);
      done = true;
      await cutting;
      note(`${cuts} cuts; the slowest of 50 waiting callers had its result after ${slow} ms`);
      expect(
        replies.every(({ status }) => status === 200),
        JSON.stringify(stage.client.tally()),
      );
      goal(slow <= 2_000, `a waiting caller had its result after ${slow} ms`);
      return undefined;
    },
  },
];
