import {
  findPrediction,
  insertPromises,
  type LedgerRow,
  markRetried,
  recordTerminal,
  type TerminalRow,
} from '@millrace/shared/ledger/ledger';
import { terminalRowOf } from '@millrace/shared/ledger/terminal-row';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { isTerminal, type Status } from '@millrace/shared/predictions/prediction';
import { jobIdOf } from '@millrace/shared/queue/job';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { promiseRow } from '../ledger/rows.ts';
import { useTestDatabase } from '../support/test-database.ts';
import * as pure from './lifecycle.ts';
import { Ledger, type Row } from './lifecycle-ledger.ts';
import { MODEL, NOW, newId, newPrediction, SHARD, TARGET, useLive } from './live-fixture.ts';

const f = useLive();
const database = useTestDatabase();
let pool: Pool;
beforeAll(() => {
  pool = createPool({ databaseUrl: database.url, max: 4, statementTimeoutMs: 10_000, applicationName: 'model' });
});
afterAll(() => pool.end());
const RUNS = 100;
let run = 0;

/** The values that both sides must agree on for every prediction. */
interface Seen {
  status: Status;
  attempts: number;
  opening: number;
  leader: string | null;
  runsForFollowers: boolean;
}

/** The same values of the ledger. */
type SeenRow = Pick<Row, 'status' | 'attempts' | 'opening' | 'supersededAt' | 'endedAt'>;

test('for any order of steps, the scripts and the ledger agree with the pure state machine', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(2 ** 20), { minLength: 5, maxLength: 45 }), async (choices) => {
      run += 1;
      const twins = openTwins(run);
      for (const choice of choices) await twins.step(choice);
    }),
    { numRuns: RUNS },
  );
}, 300_000);

function openTwins(number: number) {
  const ids = Array.from({ length: 4 }, () => newId());
  const flights = [`${number}-x`, `${number}-y`];
  const workers = [`${number}-w0`, `${number}-w1`];
  const all = pure.noLives();
  const ledger = new Ledger('openings');
  /** Ends that a recorder has read and not written yet. */
  const reading: { row: TerminalRow; end: pure.End }[] = [];
  const jobs = new Set<string>();
  const alive = new Set<string>();
  const last = new Map<string, { attempt: number; state: string }>();
  let now = NOW;
  let made = 0;
  let seen = 0;
  const around: pure.Surroundings = {
    get now() {
      return now;
    },
    jobRuns: (job) => jobs.has(job),
    workerLives: (worker) => alive.has(worker),
  };
  const nextJob = () => {
    made += 1;
    return jobIdOf(newId(), made);
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
    const more = choice >> 10;
    switch (choice % 17) {
      case 0:
      case 1:
      case 2: {
        const job = nextJob();
        const expiresAt = (choice >> 9) % 2 ? now + 200 : null;
        const item = newPrediction({ id, flight, expiresAt, createdAt: now });
        if (more % 3 > 0) {
          const { options: _, ...request } = item;
          await insertPromises(pool, [promiseRow({ ...request, task: String(request.task), tenant: 'default' })]);
          ledger.promise(id, expiresAt);
        }
        const { items } = await f.live.submit(TARGET, { priority: 'normal', job, nowMs: now }, [item]);
        return [items[0]?.outcome, pure.submit(all, { id, flight, expiresAt, job, attempts: 0, opening: 0 }, around)];
      }
      case 3:
      case 4: {
        // With its own job, or with an earlier job.
        const own = all.lives.get(id)?.job ?? jobIdOf(id);
        const job = more % 4 === 0 ? jobIdOf(id) : own;
        const [taken] = await f.take([id], { worker, most: 2, now, jobs: [job] });
        if (taken) last.set(id, taken);
        return [taken?.attempt ?? null, pure.take(all, { id, worker, job, attemptsMax: 2 }, around)];
      }
      case 5:
      case 6: {
        const attempt = (last.get(id)?.attempt ?? 1) - ((choice >> 9) % 4 === 0 ? 1 : 0);
        // With and without the taken state, which the scripts must treat alike.
        const state = (choice >> 13) % 4 === 0 ? undefined : last.get(id)?.state;
        const status = (choice >> 11) % 3 === 0 ? 'failed' : 'succeeded';
        return [
          await f.finish({ id, attempt, ...(state && { state }) }, { status }, now),
          pure.finish(all, id, attempt, status, now),
        ];
      }
      case 7: {
        const status = (choice >> 9) % 3 === 0 ? 'expired' : 'canceled';
        return [
          (await f.live.end(id, { tenant: 'default', status, nowMs: now })).outcome,
          pure.endOne(all, id, status, now),
        ];
      }
      case 8: {
        // With the number of the ledger, or with another number.
        const opening = (ledger.rows.get(id)?.opening ?? 0) + (more % 4 === 0 ? 1 : 0);
        const again = { opening, job: nextJob(), expiresAt: now + 500 };
        const opened = await f.live.retry({ id, tenant: 'default', nowMs: now, ...again });
        return [opened.outcome, pure.retry(all, id, again)];
      }
      case 9: {
        const row = ledger.rows.get(id) ?? { opening: 0, supersededAt: null };
        const { opening, supersededAt } = row;
        const adoption = { opening, supersededAt, job: nextJob(), expiresAt: now + 700 };
        const { outcome } = await f.live.adopt({ id, model: MODEL, ...adoption }, { job: adoption.job, nowMs: now });
        return [outcome, pure.adopt(all, id, adoption, around)];
      }
      case 10: {
        const job = all.lives.get(id)?.job;
        if (job !== undefined) await setJob(job, !jobs.has(job));
        return [0, 0];
      }
      case 11:
      case 12: {
        // The recorder or a retry reads an end. Both write the end later, after any other change.
        const state = await f.live.readWhole(id);
        const life = all.lives.get(id);
        const end = life ? pure.endOf(id, life) : null;
        if (state && isTerminal(state.status) && end) reading.push({ row: terminalRowOf(state), end });
        return [state !== null && isTerminal(state.status), end !== null];
      }
      case 13:
      case 14: {
        const late = reading.splice(more % Math.max(1, reading.length), 1)[0];
        if (!late) return [0, 0];
        const { applied } = await recordTerminal(pool, [late.row]);
        if (applied === 0) await f.live.drop([late.row]);
        else await f.live.shorten([late.row], 600_000);
        const recorded = ledger.record(late.end);
        if (!recorded) pure.drop(all, late.end);
        return [applied === 1, recorded];
      }
      case 15: {
        const opening = (ledger.rows.get(id)?.opening ?? 0) + (more % 8 === 0 ? 1 : 0);
        const row = await markRetried(pool, { tenant: 'default', id, opening, nowMs: now });
        return [row !== undefined, ledger.reopen(id, opening, null)];
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
      expect(real, `step ${choice % 17}`).toEqual(model);
      for (const id of ids) expect(await seenOf(id), id).toEqual(expectedOf(all.lives.get(id)));
      for (const id of ids)
        expect(rowOf(await findPrediction(pool, 'default', id)), id).toEqual(expectedRow(ledger.rows.get(id)));
      for (const flight of flights) expect(await f.flightHolder(flight)).toBe(all.flights.get(flight) ?? null);
      const ends = all.ends.slice(seen).map(({ id }) => id);
      seen = all.ends.length;
      expect((await f.ledger()).sort()).toEqual(ends.sort());
    },
  };

  async function seenOf(id: string): Promise<Seen | null> {
    const state = await f.live.read(id);
    if (!state) return null;
    const { status, attempts, opening, leader, runsForFollowers } = state;
    return { status, attempts, opening, leader, runsForFollowers };
  }

  function expectedOf(life: pure.Life | undefined): Seen | null {
    if (!life) return null;
    const { status, attempts, opening, leader, runsForFollowers } = life;
    return { status, attempts, opening, leader, runsForFollowers };
  }

  function rowOf(row: LedgerRow | undefined): SeenRow | null {
    if (!row) return null;
    const { status, attempts, opening, supersededAt, completedAt } = row;
    return { status, attempts, opening, supersededAt, endedAt: completedAt };
  }

  function expectedRow(row: Row | undefined): SeenRow | null {
    if (!row) return null;
    const { status, attempts, opening, supersededAt, endedAt } = row;
    return { status, attempts, opening, supersededAt, endedAt };
  }
}
