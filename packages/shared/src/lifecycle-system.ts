/**
 * The state machine among what surrounds it, for exploration: jobs, workers that crash and that write late, a ledger with
 * its recorder and reconciler, and a Redis that loses everything. Each step is chosen by a number; after each the
 * invariants of docs/reliability.md are checked, and after `quiesce` that every promise was kept.
 */
import { adopt, endOne, finish, type Lives, noLives, retry, type Surroundings, submit, take } from './lifecycle.ts';
import { isTerminal, type Status } from './prediction.ts';

const IDS = ['a', 'b', 'c', 'd'];
const WORKERS = ['w0', 'w1'];
const ATTEMPTS_MAX = 3;

interface Held {
  job: string;
  taken: { id: string; attempt: number }[];
}

interface Row {
  status: Status;
  attempts: number;
  expiresAt: number | null;
  ended: number;
  reopened: number;
}

export interface System {
  step(choice: number): void;
  /** No more faults: all that was promised must end. */
  quiesce(): void;
}

function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

export function openSystem(): System {
  let all: Lives = noLives();
  let now = 1_000_000;
  let made = 0;
  const jobs = new Map<string, string[]>();
  const held = new Map<string, Held>();
  /** What workers that lost their job still believe. */
  const stale: Held['taken'] = [];
  const ledger = new Map<string, Row>();
  const told: string[] = [];
  let heard = 0;
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

  function promise(id: string, expiresAt: number | null): void {
    if (!ledger.has(id)) ledger.set(id, { status: 'queued', attempts: 0, expiresAt, ended: 0, reopened: 0 });
  }

  function enter(id: string, flight: string | null, expiresAt: number | null, addsJob: boolean): void {
    if (ledger.has(id)) return;
    promise(id, expiresAt);
    const job = newJob([id]);
    submit(all, { id, flight, expiresAt, job, attempts: 0 }, around);
    if (!addsJob) jobs.delete(job);
  }

  function begin(worker: string): void {
    if (held.has(worker)) return;
    const free = [...jobs].find(([job]) => ![...held.values()].some((one) => one.job === job));
    if (!free) return;
    const [job, ids] = free;
    held.set(worker, { job, taken: [] });
    for (const id of ids) {
      const attempt = take(all, id, worker, ATTEMPTS_MAX, now);
      if (attempt !== null) held.get(worker)?.taken.push({ id, attempt });
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
    const row = ledger.get(id);
    if (!row || row.status === 'succeeded' || !isTerminal(row.status)) return;
    const life = all.lives.get(id);
    if (life && (life.status === 'succeeded' || !isTerminal(life.status))) return;
    Object.assign(row, { status: 'queued', reopened: row.reopened + 1, expiresAt: now + 1_000 });
    const job = newJob([id]);
    const outcome = retry(all, id, job, now + 1_000);
    if (outcome === 'gone')
      submit(all, { id, flight: null, expiresAt: now + 1_000, job, attempts: row.attempts }, around);
    else if (outcome !== 'queued') jobs.delete(job);
  }

  function record(): void {
    const id = told.shift();
    const life = id === undefined ? undefined : all.lives.get(id);
    const row = id === undefined ? undefined : ledger.get(id);
    if (!life || !row || !isTerminal(life.status) || row.status === 'succeeded') return;
    if (life.attempts > row.attempts || !isTerminal(row.status)) {
      if (!isTerminal(row.status)) row.ended += 1;
      row.status = life.status;
      row.attempts = life.attempts;
    }
  }

  function reconcile(): void {
    for (const [id, row] of ledger) {
      if (isTerminal(row.status)) continue;
      if (row.expiresAt !== null && row.expiresAt <= now) {
        const outcome = endOne(all, id, 'expired', now);
        if (outcome === 'gone') Object.assign(row, { status: 'expired', ended: row.ended + 1 });
        if (outcome === 'terminal') told.push(id);
        continue;
      }
      const job = newJob([id]);
      const outcome = adopt(all, id, job, around);
      if (outcome === 'gone')
        submit(all, { id, flight: null, expiresAt: row.expiresAt, job, attempts: row.attempts }, around);
      else if (outcome !== 'adopted') jobs.delete(job);
    }
  }

  function loseAll(): void {
    all = noLives();
    heard = 0;
    // Attempts are counted anew from what the ledger has.
    before.clear();
    jobs.clear();
    told.length = 0;
    for (const worker of [...held.keys()]) lose(worker, true);
  }

  function hear(): void {
    for (; heard < all.ends.length; heard += 1) told.push(all.ends[heard]?.id as string);
  }

  const before = new Map<string, { status: Status; attempts: number; reopened: number }>();

  function check(lossy: boolean): void {
    for (const [id, life] of all.lives) {
      const last = before.get(id);
      const row = ledger.get(id) as Row;
      if (last && !lossy && last.reopened === row.reopened) {
        must(!isTerminal(last.status) || life.status === last.status, `${id}: ${last.status} became ${life.status}`);
        must(life.attempts >= last.attempts, `${id}: attempts fell from ${last.attempts} to ${life.attempts}`);
      }
      must(!life.goesOn || isTerminal(life.status), `${id}: goes on for others, and has not ended itself`);
      must(life.attempts - life.attemptsBefore <= ATTEMPTS_MAX + 1, `${id}: ${life.attempts} executions`);
      must(life.status === 'succeeded' || life.hasTask, `${id}: ${life.status} and its task is gone`);
      before.set(id, { status: life.status, attempts: life.attempts, reopened: row.reopened });
    }
    for (const [id, row] of ledger)
      must(row.ended <= row.reopened + 1, `${id}: ended ${row.ended} times in the ledger`);
    for (const [flight, id] of all.flights)
      must(all.lives.get(id)?.flight === flight, `${flight}: held by ${id}, which does not know`);
  }

  function step(choice: number): void {
    const what = choice % 16;
    const id = IDS[(choice >> 4) % 4] as string;
    const worker = WORKERS[(choice >> 6) % 2] as string;
    const flight = ((choice >> 7) & 3) === 0 ? null : `f${(choice >> 8) & 1}`;
    let lossy = false;
    if (what <= 2) enter(id, flight, (choice >> 9) & 1 ? now + 200 : null, what < 2 || ((choice >> 10) & 1) === 1);
    else if (what <= 5) begin(worker);
    else if (what <= 7) complete(worker, (choice >> 9) & 3 ? 'succeeded' : 'failed');
    else if (what === 8) lose(worker, false);
    else if (what === 9) lose(worker, true);
    else if (what === 10) {
      const late = stale.shift();
      if (late) write(late.id, late.attempt, 'succeeded');
    } else if (what === 11) endOne(all, id, 'canceled', now);
    else if (what === 12) {
      now += 150;
      endOne(all, id, 'expired', now);
    } else if (what === 13) again(id);
    else if (what === 14) record();
    else if ((choice >> 9) % 8 === 0) {
      loseAll();
      lossy = true;
    } else reconcile();
    hear();
    check(lossy);
  }

  return {
    step,
    quiesce() {
      const open = () => [...ledger.values()].some(({ status }) => !isTerminal(status));
      for (let rounds = 0; open() && rounds < 60; rounds += 1) {
        now += 10_000;
        for (const worker of WORKERS) {
          begin(worker);
          complete(worker, 'succeeded');
        }
        hear();
        while (told.length > 0) record();
        reconcile();
        hear();
        check(false);
      }
      for (const [id, { status }] of ledger) must(isTerminal(status), `${id}: promised, and still ${status}`);
    },
  };
}
