import * as pure from '@millrace/shared/lifecycle';
import type { Status } from '@millrace/shared/prediction';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MODEL, NOW, newId, newPrediction, SHARD, TARGET, useLive } from './live-fixture.ts';

const f = useLive();
const RUNS = 100;
let run = 0;

/** What both sides must agree on, for every prediction. */
interface Seen {
  status: Status;
  attempts: number;
  leader: string | null;
  goesOn: boolean;
}

test('whatever is done in whatever order, the scripts do what the pure state machine does', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(2 ** 20), { minLength: 5, maxLength: 30 }), async (choices) => {
      run += 1;
      const twins = openTwins(run);
      for (const choice of choices) await twins.step(choice);
    }),
    { numRuns: RUNS },
  );
}, 120_000);

function openTwins(number: number) {
  const ids = Array.from({ length: 4 }, () => newId());
  const flights = [`${number}-x`, `${number}-y`];
  const workers = [`${number}-w0`, `${number}-w1`];
  const all = pure.noLives();
  const jobs = new Set<string>();
  const alive = new Set<string>();
  const last = new Map<string, { attempt: number; state: string }>();
  let now = NOW;
  let made = 0;
  let told = 0;
  const around: pure.Surroundings = {
    get now() {
      return now;
    },
    jobRuns: (job) => jobs.has(job),
    workerLives: (worker) => alive.has(worker),
  };
  const nextJob = () => {
    made += 1;
    return `p-${number}-${made}`;
  };

  async function setJob(job: string, runs: boolean): Promise<void> {
    if (runs) jobs.add(job);
    else jobs.delete(job);
    const key = `${f.keys.bull(SHARD)}:${MODEL}:${job}`;
    await (runs ? f.redis.hset(key, 'name', 'predict') : f.redis.del(key));
  }

  async function act(choice: number): Promise<[unknown, unknown]> {
    const id = ids[(choice >> 4) % 4] as string;
    const worker = workers[(choice >> 6) % 2] as string;
    const flight = (choice >> 7) % 4 === 0 ? null : (flights[(choice >> 8) % 2] as string);
    switch (choice % 12) {
      case 0:
      case 1:
      case 2: {
        const job = nextJob();
        const expiresAt = (choice >> 9) % 2 ? now + 200 : null;
        const item = newPrediction({ id, flight, expiresAt, createdAt: now });
        const { items } = await f.live.submit(TARGET, 'normal', job, [item], now);
        return [items[0]?.outcome, pure.submit(all, { id, flight, expiresAt, job, attempts: 0 }, around)];
      }
      case 3:
      case 4: {
        const [taken] = await f.live.take(SHARD, [id], worker, 2, now);
        if (taken) last.set(id, taken);
        return [taken?.attempt ?? null, pure.take(all, id, worker, 2, now)];
      }
      case 5:
      case 6: {
        const attempt = (last.get(id)?.attempt ?? 1) - ((choice >> 9) % 4 === 0 ? 1 : 0);
        // With the state as it was taken, or without, which the scripts must treat alike.
        const state = (choice >> 13) % 4 === 0 ? undefined : last.get(id)?.state;
        const status = (choice >> 11) % 3 === 0 ? 'failed' : 'succeeded';
        return [
          await f.finish({ id, attempt, ...(state && { state }) }, { status }, now),
          pure.finish(all, id, attempt, status, now),
        ];
      }
      case 7: {
        const status = (choice >> 9) % 3 === 0 ? 'expired' : 'canceled';
        return [(await f.live.end(id, 'default', status, now)).outcome, pure.endOne(all, id, status, now)];
      }
      case 8: {
        const job = nextJob();
        const opened = await f.live.retry(id, 'default', job, now + 500, now);
        return [opened.outcome, pure.retry(all, id, job, now + 500)];
      }
      case 9: {
        const job = nextJob();
        return [(await f.live.adopt(id, MODEL, job, now)).outcome, pure.adopt(all, id, job, around)];
      }
      case 10: {
        const job = all.lives.get(id)?.job;
        if (job !== undefined) await setJob(job, !jobs.has(job));
        return [0, 0];
      }
      default: {
        now += 150 * ((choice >> 9) % 30);
        const lives = !alive.has(worker);
        if (lives) alive.add(worker);
        else alive.delete(worker);
        await (lives ? f.beat(worker) : f.redis.del(f.keys.worker(SHARD, worker)));
        return [0, 0];
      }
    }
  }

  return {
    async step(choice: number): Promise<void> {
      const [real, model] = await act(choice);
      expect(real, `step ${choice % 12}`).toEqual(model);
      for (const id of ids) expect(await seenOf(id), id).toEqual(expectedOf(all.lives.get(id)));
      for (const flight of flights) expect(await f.flightHolder(flight)).toBe(all.flights.get(flight) ?? null);
      const ends = all.ends.slice(told).map(({ id }) => id);
      told = all.ends.length;
      expect((await f.ledger()).sort()).toEqual(ends.sort());
    },
  };

  async function seenOf(id: string): Promise<Seen | null> {
    const state = await f.live.read(id);
    return state && { status: state.status, attempts: state.attempts, leader: state.leader, goesOn: state.goesOn };
  }

  function expectedOf(life: pure.Life | undefined): Seen | null {
    if (!life) return null;
    const { status, attempts, leader, goesOn } = life;
    return { status, attempts, leader, goesOn };
  }
}
