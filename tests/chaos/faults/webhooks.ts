/** Webhooks: every event reaches every good receiver, despite bad receivers and kills. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Context, Fault } from '../fault.ts';
import { entry, quick, type TestRequest } from '../models.ts';
import { BAD, openBooks, type WebhookBooks } from '../webhook-books.ts';

const stage = {
  workers: 2,
  env: { WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8', MAX_ATTEMPTS: '20' },
};
const GOAL_P99_MS = 1_000;

// Some predictions fail, so that there are events of more than one type.
const requestOf = (n: number): TestRequest => (n % 25 === 0 ? entry(5) : quick());

/**
 * Submits `total` predictions at a fixed rate, each with its own webhook. Resolves to the prediction of each number.
 */
async function submitAll(
  { stage: { client }, expect }: Context,
  books: WebhookBooks,
  { total, perS }: { total: number; perS: number },
): Promise<Map<number, string>> {
  const submitted = new Map<number, string>();
  const startedAt = performance.now();
  const clients = Array.from({ length: 16 }, async (_, first) => {
    for (let n = first; n < total; n += 16) {
      await delay(Math.max(0, startedAt + (1_000 * n) / perS - performance.now()));
      // The client repeats each request until the API responds: without a response the client does not know whether the
      // prediction exists.
      const { entry, status, code } = await client.submit(requestOf(n), {
        mode: n % 2 === 0 ? 'async' : 'wait',
        idempotencyKey: `webhook-${n}`,
        body: { webhook: { url: books.addressOf(n) } },
      });
      if (entry?.id) submitted.set(n, entry.id);
      else expect(false, `request ${n} got ${status} ${code}`);
    }
  });
  await Promise.all(clients);
  return submitted;
}

async function withBooks(context: Context, play: (books: WebhookBooks) => Promise<number | undefined>) {
  const books = await openBooks(context.stage);
  try {
    return await play(books);
  } finally {
    await books.close();
  }
}

const rounded = ({ p50, p99, most }: { p50: number; p99: number; most: number }): string =>
  `p50 ${Math.round(p50)}, p99 ${Math.round(p99)}, most ${Math.round(most)} ms`;

/** Kills and restarts processes at random until `stop`. */
function startKilling({ stage, servers, random }: Context) {
  const done: Record<string, number> = {};
  let stopped = false;
  const kills = {
    worker: async () => {
      const victim = stage.workers[Math.floor(random() * stage.workers.length)];
      await victim?.kill();
      await stage.startWorker();
    },
    Postgres: async () => {
      await servers.postgres.kill();
      await delay(random() * 1_500);
      await servers.postgres.start();
    },
    Redis: async () => {
      await servers.redis.kill();
      await delay(random() * 1_500);
      await servers.redis.start();
    },
  };
  const names = ['worker', 'worker', 'Postgres', 'Redis'] as const;
  const killing = (async () => {
    while (!stopped) {
      await delay(500 + random() * 4_000);
      const name = names[Math.floor(random() * names.length)] as (typeof names)[number];
      await kills[name]();
      done[name] = (done[name] ?? 0) + 1;
    }
  })();
  return {
    async stop() {
      stopped = true;
      await killing;
      return Object.entries(done).map(([name, times]) => `${name} ${times}`);
    },
  };
}

export const webhookFaults: Fault[] = [
  {
    name: 'webhooks-beside-bad',
    how: `events at 40 per second to three good receivers beside receivers with the behaviors ${BAD.join(', ')}`,
    stage,
    run: (context) =>
      withBooks(context, async (books) => {
        const { short, note, expect, goal } = context;
        const submitted = await submitAll(context, books, { total: short ? 300 : 1_200, perS: 40 });
        for (const problem of await books.check(submitted, 60_000)) expect(false, problem);
        const seen = await books.latencies();
        note(`${seen.count} deliveries to good receivers after ${rounded(seen)}; ${books.counts().attempts} attempts`);
        goal(seen.p99 < GOAL_P99_MS, `the p99 of delivery is ${Math.round(seen.p99)} ms`);
        return undefined;
      }),
  },
  {
    name: 'webhooks-killed',
    how: `10,000 predictions with webhooks (500 in the short form), good and bad receivers, while workers, Postgres and Redis are killed at random`,
    stage,
    run: (context) =>
      withBooks(context, async (books) => {
        const { short, note, expect } = context;
        const killing = startKilling(context);
        const submitted = await submitAll(context, books, { total: short ? 500 : 10_000, perS: 40 });
        const kills = await killing.stop();
        const healedAt = performance.now();
        // A delivery whose first two attempts failed has its next attempt after five minutes.
        for (const problem of await books.check(submitted, 400_000)) expect(false, problem);
        const afterS = (performance.now() - healedAt) / 1_000;
        const { attempts, repeated } = books.counts();
        const seen = await books.latencies();
        const extra = await books.extra(submitted);
        note(`${kills.join(', ')} killed; ${submitted.size} events, ${attempts} attempts`);
        note(
          `of ${seen.count} deliveries to good receivers none was lost, ${repeated} were repeated, ${rounded(seen)}`,
        );
        note(`the last arrived ${afterS.toFixed(1)} s after the last kill`);
        if (extra > 0) note(`${extra} of the keys that were repeated after an error created another prediction`);
        return undefined;
      }),
  },
];
