/**
 * The state machine with its surroundings, for exploration: jobs, workers that crash and write late, a ledger with its
 * reconciler and a late recorder, retries that stop between steps, and a Redis that loses everything. A number chooses
 * each step. The invariants of docs/reliability.md are checked after each step. `quiesce` checks that every promise was
 * kept and that the stores agree.
 */

import { isTerminal, type Status } from '../../packages/shared/src/predictions/prediction.ts';
import {
  adopt,
  drop,
  type End,
  endOf,
  endOne,
  finish,
  type Lives,
  noLives,
  type Surroundings,
  submit,
  take,
} from './lifecycle.ts';
import { type Fence, Ledger, type Row } from './lifecycle-ledger.ts';
import { type RetryInProgress, startRetry } from './lifecycle-retry.ts';

const IDS = ['a', 'b', 'c', 'd'];
const WORKERS = ['w0', 'w1'];
const ATTEMPTS_MAX = 3;

interface Held {
  job: string;
  taken: { id: string; attempt: number; opening: number }[];
}

export interface System {
  step(choice: number): void;
  /** Stops the faults: all promised predictions must end. */
  quiesce(): void;
}

function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

export function openSystem(fence: Fence = 'openings'): System {
  let all: Lives = noLives();
  let now = 1_000_000;
  let made = 0;
  const jobs = new Map<string, string[]>();
  const held = new Map<string, Held>();
  /** The takings that workers without their job still believe in. */
  const stale: Held['taken'] = [];
  const ledger = new Ledger(fence);
  const entered = new Set<string>();
  /** The entries of the recorder's stream. */
  const stream: string[] = [];
  /** Ends that a recorder has read and not written yet. */
  const reading: End[] = [];
  const retries: RetryInProgress[] = [];
  /** The latest opening of each prediction for which a 202 was returned. */
  const promised = new Map<string, number>();
  let published = 0;
  const around: Surroundings = {
    get now() {
      return now;
    },
    jobRuns: (job) => jobs.has(job),
    workerLives: (worker) => held.has(worker),
  };

  function newJob(ids: string[]): string {
    made += 1;
    const job = `j${made}`;
    jobs.set(job, ids);
    return job;
  }

  function enter(id: string, flight: string | null, expiresAt: number | null, addsJob: 'yes' | 'no' | 'waits'): void {
    if (entered.has(id)) return;
    entered.add(id);
    // The caller of the other predictions waits for the result: they have no row before their end.
    if (addsJob !== 'waits') {
      ledger.promise(id, expiresAt);
      promised.set(id, 0);
    }
    const job = newJob([id]);
    submit(all, { id, flight, expiresAt, job, attempts: 0, opening: 0 }, around);
    if (addsJob === 'no') jobs.delete(job);
  }

  function begin(worker: string): void {
    if (held.has(worker)) return;
    const free = [...jobs].find(([job]) => ![...held.values()].some((one) => one.job === job));
    if (!free) return;
    const [job, ids] = free;
    held.set(worker, { job, taken: [] });
    for (const id of ids) {
      const attempt = take(all, { id, worker, job, attemptsMax: ATTEMPTS_MAX }, around);
      if (attempt === null) continue;
      const opening = all.lives.get(id)?.opening ?? 0;
      must(
        ![...held.values()].some(({ taken }) => taken.some((other) => other.id === id && other.opening === opening)),
        `${id}: two workers run opening ${opening}`,
      );
      held.get(worker)?.taken.push({ id, attempt, opening });
    }
  }

  function complete(worker: string, status: 'succeeded' | 'failed'): void {
    const work = held.get(worker);
    if (!work) return;
    for (const { id, attempt } of work.taken) write(id, attempt, status);
    jobs.delete(work.job);
    held.delete(worker);
  }

  function write(id: string, attempt: number, status: 'succeeded' | 'failed'): void {
    const latest = all.lives.get(id)?.attempts;
    const verdict = finish(all, id, attempt, status, now);
    must(
      verdict !== 'written' || attempt === latest,
      `${id}: a result of attempt ${attempt} was written over ${latest}`,
    );
  }

  function lose(worker: string, writesLater: boolean): void {
    const work = held.get(worker);
    if (work && writesLater) stale.push(...work.taken);
    held.delete(worker);
  }

  function again(id: string): void {
    const status = (all.lives.get(id) ?? ledger.rows.get(id))?.status;
    if (!status || status === 'succeeded' || !isTerminal(status)) return;
    const deps = { fence, lives: () => all, ledger, around, newJob, dropJob: (job: string) => void jobs.delete(job) };
    const accepted = (of: string, opening: number) => void promised.set(of, Math.max(opening, promised.get(of) ?? 0));
    retries.push(startRetry({ ...deps, accepted }, id));
  }

  /** Runs the next step of a retry in progress, or stops the retry with its process. */
  function continueRetry(which: number, stops: boolean): void {
    const at = which % Math.max(1, retries.length);
    const done = stops || retries[at]?.next().done;
    if (done) retries.splice(at, 1);
  }

  /** The recorder can write much later, after any other change. */
  function read(): void {
    const id = stream.shift();
    const life = id === undefined ? undefined : all.lives.get(id);
    const end = life ? endOf(id as string, life) : null;
    if (end) reading.push(end);
  }

  function recordNext(): void {
    const end = reading.shift();
    if (!end || ledger.record(end)) return;
    // After a loss of Redis or of its last writes, the ledger can have an end that Redis does not know.
    const row = ledger.rows.get(end.id) as Row;
    const same = row.opening === end.opening && row.endedAt === end.endedAt;
    if (fence === 'openings' && isTerminal(row.status) && !same) drop(all, end);
  }

  function reconcile(): void {
    for (const [id, row] of ledger.rows) {
      if (isTerminal(row.status)) continue;
      const job = newJob([id]);
      const { opening, supersededAt, expiresAt } = row;
      const adoption = {
        opening: fence === 'openings' ? opening : 0,
        supersededAt: fence === 'openings' ? supersededAt : null,
        expiresAt,
        job,
      };
      if (expiresAt !== null && expiresAt <= now) {
        const outcome = endOne(all, id, 'expired', now);
        if (outcome === 'gone') ledger.record({ id, status: 'expired', attempts: row.attempts, opening, endedAt: now });
        if (outcome === 'terminal' && adopt(all, id, adoption, around) === 'adopted') endOne(all, id, 'expired', now);
        jobs.delete(job);
        continue;
      }
      const outcome = adopt(all, id, adoption, around);
      if (outcome === 'gone')
        submit(all, { id, flight: null, expiresAt, job, attempts: row.attempts, opening }, around);
      else if (outcome !== 'adopted') jobs.delete(job);
    }
  }

  function loseAll(): void {
    all = noLives();
    published = 0;
    // Attempts are counted again, starting with the value of the ledger.
    before.clear();
    jobs.clear();
    stream.length = 0;
    for (const worker of [...held.keys()]) lose(worker, true);
  }

  function hear(): void {
    for (; published < all.ends.length; published += 1) stream.push(all.ends[published]?.id as string);
  }

  const before = new Map<string, { status: Status; attempts: number; opening: number }>();

  function check(lossy: boolean): void {
    for (const [id, life] of all.lives) {
      const last = before.get(id);
      if (last && !lossy) {
        const same = last.opening === life.opening;
        must(
          !same || !isTerminal(last.status) || life.status === last.status,
          `${id}: ${last.status} became ${life.status}`,
        );
        must(life.attempts >= last.attempts, `${id}: attempts fell from ${last.attempts} to ${life.attempts}`);
        must(life.opening >= last.opening, `${id}: opening ${last.opening} became ${life.opening}`);
      }
      must(!life.runsForFollowers || isTerminal(life.status), `${id}: runs for followers but has not ended itself`);
      must(life.attempts - life.attemptsBefore <= ATTEMPTS_MAX + 1, `${id}: ${life.attempts} executions`);
      must(life.status === 'succeeded' || life.hasTask, `${id}: ${life.status} without a task`);
      before.set(id, { status: life.status, attempts: life.attempts, opening: life.opening });
    }
    for (const [id, row] of ledger.rows) checkRow(id, row);
    for (const [flight, id] of all.flights)
      must(all.lives.get(id)?.flight === flight, `${flight}: held by ${id}, whose state does not have it`);
  }

  function checkRow(id: string, { status, ends }: Row): void {
    const openings = ends.map(({ opening }) => opening);
    must(
      openings.every((opening, at) => opening === at),
      `${id}: the ends of openings ${openings} are in the ledger`,
    );
    const last = promised.get(id) ?? 0;
    must(
      !isTerminal(status) || openings.length > last,
      `${id}: opening ${last} was promised, but the ledger has the end of opening ${openings.length - 1}`,
    );
  }

  function step(choice: number): void {
    const kind = choice % 20;
    const id = IDS[(choice >> 5) % 4] as string;
    const worker = WORKERS[(choice >> 7) % 2] as string;
    const flight = ((choice >> 8) & 3) === 0 ? null : `f${(choice >> 9) & 1}`;
    const more = choice >> 10;
    let lossy = false;
    now += 1;
    if (kind <= 2) enter(id, flight, more & 1 ? now + 200 : null, kind === 2 ? 'no' : more & 2 ? 'waits' : 'yes');
    else if (kind <= 4) begin(worker);
    else if (kind <= 6) complete(worker, more & 3 ? 'succeeded' : 'failed');
    else if (kind === 7) lose(worker, (more & 1) === 1);
    else if (kind === 8) {
      const late = stale.shift();
      if (late) write(late.id, late.attempt, 'succeeded');
    } else if (kind <= 10) endOne(all, id, 'canceled', now);
    else if (kind === 11) {
      now += 150;
      endOne(all, id, 'expired', now);
    } else if (kind <= 13) again(id);
    else if (kind <= 15) continueRetry(more, kind === 15 && more % 8 === 0);
    else if (kind === 16) read();
    else if (kind <= 18) recordNext();
    else if (more % 8 === 0) {
      loseAll();
      lossy = true;
    } else reconcile();
    hear();
    check(lossy);
  }

  function calm(): boolean {
    const open = [...ledger.rows.values()].some(({ status }) => !isTerminal(status));
    return !open && stream.length === 0 && reading.length === 0 && retries.length === 0 && jobs.size === 0;
  }

  return {
    step,
    quiesce() {
      for (let rounds = 0; !calm() && rounds < 60; rounds += 1) {
        now += 10_000;
        while (retries.length > 0) continueRetry(0, false);
        for (const worker of WORKERS) {
          begin(worker);
          complete(worker, 'succeeded');
        }
        hear();
        while (stream.length > 0) read();
        while (reading.length > 0) recordNext();
        reconcile();
        hear();
        check(false);
      }
      for (const [id, { status }] of ledger.rows) must(isTerminal(status), `${id}: promised, but still ${status}`);
      for (const id of promised.keys()) must(ledger.rows.has(id), `${id}: promised, but not in the ledger`);
      for (const [id, { status, opening }] of all.lives) {
        const row = ledger.rows.get(id);
        if (row)
          must(
            row.status === status && row.opening === opening,
            `${id}: ${status} in Redis, ${row.status} in the ledger`,
          );
      }
    },
  };
}
