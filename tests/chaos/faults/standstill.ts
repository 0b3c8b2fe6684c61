/** Processes that stop without ending, and clocks that differ. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Fault, judgeRefused, slowest } from '../fault.ts';
import { startLoad } from '../load.ts';
import { nextNumber, quick, slow } from '../models.ts';

const CLOCKS_DIFFER_S = 120;

/** For NODE_OPTIONS: a process whose clock is wrong by `seconds`. */
const clockOff = (seconds: number): string =>
  `--import=data:text/javascript,${encodeURIComponent(
    `const now=Date.now;Date.now=()=>now()+${seconds * 1_000};globalThis.Date=new Proxy(Date,{construct:(D,a)=>a.length?new D(...a):new D(now()+${seconds * 1_000})})`,
  )}`;

export const standstillFaults: Fault[] = [
  {
    name: 'engine-stopped',
    how: "SIGSTOP of a worker's engines during runs, three times, without SIGCONT",
    async run({ stage, random, note, expect }) {
      const load = startLoad(stage.client, random, { request: () => slow(60) });
      for (let n = 0; n < 3; n += 1) {
        await delay(1_000 + random() * 500);
        for (const pid of stage.workers[0]?.children() ?? []) process.kill(pid, 'SIGSTOP');
        // Waits until a new engine has computed a result.
        const { status } = await stage.client.submit(slow(5), { waitS: 40, timeoutMs: 45_000 });
        expect(status === 200, `with its engines stopped, ${status}`);
      }
      const healedAt = Date.now();
      await load.stop();
      note(`the slowest result took ${slowest(stage.client.replies)} ms`);
      return healedAt;
    },
  },
  {
    name: 'api-stopped',
    how: 'SIGSTOP of one of two APIs for 5 s under load, whose clients repeat with their Idempotency-Key',
    stage: { apis: 2 },
    async run({ stage, random, note, expect }) {
      let keys = 0;
      const load = startLoad(stage.client, random, {
        options: () => {
          keys += 1;
          return { mode: random() < 0.5 ? 'wait' : 'async', idempotencyKey: `s${nextNumber()}`, timeoutMs: 2_000 };
        },
      });
      await delay(1_000);
      const [stopped] = stage.apis;
      stopped?.signal('SIGSTOP');
      await delay(5_000);
      stopped?.signal('SIGCONT');
      const healedAt = Date.now();
      await delay(1_000);
      await load.stop();
      const unsure = stage.client.replies.filter(({ status }) => status === 0).length;
      const rows = await stage.sql<{ n: number }>(
        `SELECT count(*)::int AS n FROM (SELECT FROM predictions WHERE idempotency_hash IS NOT NULL
           GROUP BY idempotency_hash HAVING count(*) > 1) AS twice`,
      );
      note(`${unsure} requests aborted by their clients, ${keys} keys`);
      expect(rows[0]?.n === 0, `${rows[0]?.n} keys have more than one prediction`);
      expect(stage.client.entries.length === keys, `${keys} keys, ${stage.client.entries.length} results`);
      return healedAt;
    },
  },
  {
    name: 'recorder-stopped',
    how: 'SIGSTOP of one of two recorders for 6 s under load, so that the other recorder takes over its entries',
    stage: { workers: 1, env: { WORKER_ROLES: 'inference' } },
    async run({ stage, random, note }) {
      const first = await stage.startWorker({ WORKER_ROLES: 'recorder' });
      const load = startLoad(stage.client, random);
      await delay(1_000);
      await stage.startWorker({ WORKER_ROLES: 'recorder' });
      first.signal('SIGSTOP');
      await delay(6_000);
      first.signal('SIGCONT');
      const healedAt = Date.now();
      await delay(1_000);
      await load.stop();
      note(`${stage.client.entries.length} requests meanwhile`);
      return healedAt;
    },
  },
  {
    name: 'clocks-differ',
    how: `workers whose clocks are ${CLOCKS_DIFFER_S} s ahead of the API's clock or behind it; of the two workers ahead, one is stopped and one is killed`,
    // The larger allowed difference lets workers with different clocks work together.
    stage: { workers: 0, apis: 0, env: { MAX_CLOCK_SKEW_MS: '300000' } },
    async run({ stage, random, note, expect }) {
      const ahead = { NODE_OPTIONS: clockOff(CLOCKS_DIFFER_S) };
      const stopped = await stage.startWorker(ahead);
      const killed = await stage.startWorker(ahead);
      await stage.startWorker({ NODE_OPTIONS: clockOff(-CLOCKS_DIFFER_S) });
      await stage.startApi();
      await stage.untilServed();
      const load = startLoad(stage.client, random, { clients: 24, request: () => slow(40) });
      await delay(2_000);
      await stopped.stop();
      await delay(1_000);
      await killed.kill();
      const healedAt = Date.now();
      await delay(1_000);
      await load.stop();
      const bad = stage.client.replies.filter(({ status }) => status !== 200 && status !== 202);
      note(`${stage.client.replies.length} requests, ${bad.length} failed`);
      expect(bad.length === 0, `requests failed: ${JSON.stringify(stage.client.tally())}`);
      return healedAt;
    },
  },
  {
    name: 'network-half-open',
    how: 'connections to Redis and Postgres stay open and carry no data for 5 s under load',
    async run({ stage, servers, random, note, expect, goal }) {
      const proxies = [servers.redis.proxy, servers.cache.proxy, servers.postgres.proxy];
      const load = startLoad(stage.client, random, {
        options: () => ({ mode: random() < 0.5 ? 'wait' : 'async', waitS: 2 }),
      });
      await delay(1_000);
      for (const proxy of proxies) proxy.behave({ stalled: true });
      await delay(1_000);
      const fresh = await Promise.all(Array.from({ length: 10 }, () => stage.client.submit(quick())));
      await delay(4_000);
      for (const proxy of proxies) proxy.behave({ stalled: false });
      const healedAt = Date.now();
      await delay(1_000);
      await load.stop();
      judgeRefused(fresh, { note, expect, goal });
      return healedAt;
    },
  },
];
