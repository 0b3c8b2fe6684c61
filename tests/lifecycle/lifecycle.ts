/**
 * The life of a prediction as a pure state machine: the scripts of live/*.lua without Redis, clock or I/O.
 * lifecycle.test.ts explores the state machine with properties, and model.test.ts compares the scripts with the state
 * machine.
 *
 * A prediction starts as `queued`. A prediction leads its own computation, unless a computation of the same input is in
 * progress. Then the prediction follows the leader, and the end of the leader's computation also ends the follower. A
 * worker takes the prediction (`running`). Each taking is an attempt with the next number, and only a result of the
 * latest attempt counts. From `queued` or `running`, a prediction reaches one of four ends: `succeeded` and `failed` by
 * a result, `canceled` by its caller, `expired` by its deadline. A leader that is canceled or expires while it has
 * followers is still computed for them (`runsForFollowers`), and its own end stays. Executions that end with their
 * worker are repeated, and too many of them fail the prediction. An execution whose worker lives on ended for another
 * reason and does not count.
 *
 * An end is final, except that a caller can reopen a prediction without success for further attempts under the same id.
 * Each opening has a number, and each end belongs to one opening: the ledger assigns the number before Redis learns of
 * the retry. Followers whose leader has no job any more are adopted: each of them becomes a leader.
 */
import { isTerminal, type Status, type TerminalStatus } from '../../packages/shared/src/predictions/prediction.ts';

export interface Life {
  status: Status;
  /** Executions that started. */
  attempts: number;
  /** Attempts that cannot be lost: attempts before the last submission or retry, and attempts whose worker lived on. */
  attemptsBefore: number;
  /** 0, plus 1 for each retry. */
  opening: number;
  createdAt: number;
  endedAt: number | null;
  expiresAt: number | null;
  flight: string | null;
  leader: string | null;
  job: string;
  worker: string | null;
  /** The prediction has ended and is computed for its followers. */
  runsForFollowers: boolean;
  hasTask: boolean;
  /** The followers of this leader. Stored beside `leader`, as in the scripts. */
  followers: Set<string>;
}

export interface End {
  id: string;
  status: TerminalStatus;
  attempts: number;
  opening: number;
  endedAt: number;
}

export interface Lives {
  lives: Map<string, Life>;
  /** The prediction that computes each flight. The flight of a success stays for a while. */
  flights: Map<string, string>;
  /** Every end in order, as waiters and the recorder receive the ends. */
  ends: End[];
}

/** State outside of the predictions. */
export interface Surroundings {
  now: number;
  /** Whether a job is still to run. */
  jobRuns(job: string): boolean;
  workerLives(worker: string): boolean;
}

/** The age below which a job may still be on its way to the queue. */
const YOUNG_MS = 3_000;

export const noLives = (): Lives => ({ lives: new Map(), flights: new Map(), ends: [] });

const overdue = (life: Life, now: number): boolean => life.expiresAt !== null && life.expiresAt <= now;

/** The end of a life, or null without an end. */
export function endOf(id: string, { status, attempts, opening, endedAt }: Life): End | null {
  return isTerminal(status) && endedAt !== null ? { id, status, attempts, opening, endedAt } : null;
}

function end(all: Lives, id: string, status: TerminalStatus, now: number): void {
  const life = all.lives.get(id) as Life;
  life.status = status;
  life.endedAt = now;
  if (status === 'succeeded') life.hasTask = false;
  all.ends.push(endOf(id, life) as End);
}

/** Removes the flight. The flight of a success stays. */
function land(all: Lives, id: string, lingers = false): void {
  const flight = all.lives.get(id)?.flight;
  if (flight && all.flights.get(flight) === id && !lingers) all.flights.delete(flight);
}

function endFollowers(all: Lives, id: string, status: 'succeeded' | 'failed', now: number): void {
  const { followers } = all.lives.get(id) as Life;
  for (const follower of followers) {
    const life = all.lives.get(follower);
    if (!life || isTerminal(life.status) || life.leader !== id) continue;
    if (overdue(life, now)) end(all, follower, 'expired', now);
    else {
      // A follower that was lost too often fails with its own attempts. A result counts as an attempt of the follower.
      life.attempts += 1;
      end(all, follower, status, now);
    }
  }
  followers.clear();
}

function carried(leader: Life, around: Surroundings): boolean {
  if (leader.status === 'running' || (leader.runsForFollowers && leader.worker !== null))
    return leader.worker !== null && around.workerLives(leader.worker);
  if (leader.status === 'queued' || leader.runsForFollowers)
    return around.now - leader.createdAt < YOUNG_MS || around.jobRuns(leader.job);
  return false;
}

export interface Submission {
  id: string;
  flight: string | null;
  expiresAt: number | null;
  job: string;
  attempts: number;
  opening: number;
}

export type SubmitOutcome = 'lead' | 'follow' | 'done' | 'exists';

export function submit(
  all: Lives,
  { id, flight, expiresAt, job, attempts, opening }: Submission,
  around: Surroundings,
): SubmitOutcome {
  if (all.lives.has(id)) return 'exists';
  const life: Life = {
    ...{ status: 'queued', attempts, attemptsBefore: attempts, opening, createdAt: around.now, expiresAt, job },
    ...{
      endedAt: null,
      flight: null,
      leader: null,
      worker: null,
      runsForFollowers: false,
      hasTask: true,
      followers: new Set(),
    },
  };
  all.lives.set(id, life);
  const holder = flight === null ? undefined : all.flights.get(flight);
  const leading = holder === undefined ? undefined : all.lives.get(holder);
  if (leading?.status === 'succeeded') {
    life.attempts += 1;
    end(all, id, 'succeeded', around.now);
    return 'done';
  }
  if (leading && carried(leading, around)) {
    life.leader = holder as string;
    if (leading.status === 'running') life.status = 'running';
    leading.followers.add(id);
    return 'follow';
  }
  life.flight = flight;
  if (flight !== null) all.flights.set(flight, id);
  return 'lead';
}

export interface Taking {
  id: string;
  worker: string;
  /** The job that named the prediction. */
  job: string;
  attemptsMax: number;
}

/** The attempt to run, or null when nothing is to run. */
export function take(
  all: Lives,
  { id, worker, job, attemptsMax }: Taking,
  { now, workerLives }: Pick<Surroundings, 'now' | 'workerLives'>,
): number | null {
  const life = all.lives.get(id);
  if (!life) return null;
  // The job of an earlier opening may still exist.
  if (life.opening > 0 && life.job !== job) return null;
  if (!isTerminal(life.status) && overdue(life, now)) {
    end(all, id, 'expired', now);
    if (life.followers.size > 0) life.runsForFollowers = true;
    else land(all, id);
  }
  if (life.leader !== null || (isTerminal(life.status) && !(life.runsForFollowers && life.followers.size > 0)))
    return null;
  const { worker: last, attempts } = life;
  if (last !== null && attempts > life.attemptsBefore && (last === worker || workerLives(last)))
    life.attemptsBefore += 1;
  if (life.attempts - life.attemptsBefore >= attemptsMax) {
    if (!isTerminal(life.status)) end(all, id, 'failed', now);
    endFollowers(all, id, 'failed', now);
    land(all, id);
    life.runsForFollowers = false;
    return null;
  }
  if (!life.hasTask) return null;
  life.attempts += 1;
  life.worker = worker;
  if (!isTerminal(life.status)) life.status = 'running';
  for (const follower of life.followers) {
    const other = all.lives.get(follower);
    if (other?.status === 'queued') other.status = 'running';
  }
  return life.attempts;
}

/** `written`, `cancelled` (the prediction had ended, and the result is discarded) or `fenced` (the work was lost). */
export function finish(
  all: Lives,
  id: string,
  attempt: number,
  status: 'succeeded' | 'failed',
  now: number,
): 'written' | 'cancelled' | 'fenced' {
  const life = all.lives.get(id);
  if (!life || life.attempts !== attempt || life.status === 'queued') return 'fenced';
  if (isTerminal(life.status) && !life.runsForFollowers) return 'cancelled';
  let written = life.status === 'running';
  if (written) end(all, id, overdue(life, now) ? 'expired' : status, now);
  life.runsForFollowers = false;
  if (life.followers.size > 0) {
    written = true;
    endFollowers(all, id, status, now);
  }
  land(all, id, status === 'succeeded' && life.status === 'succeeded');
  return written ? 'written' : 'cancelled';
}

export type EndOutcome = 'gone' | 'terminal' | 'early' | 'ended';

/** Cancels or expires one prediction without its followers. */
export function endOne(all: Lives, id: string, status: 'canceled' | 'expired', now: number): EndOutcome {
  const life = all.lives.get(id);
  if (!life) return 'gone';
  if (isTerminal(life.status)) return 'terminal';
  if (status === 'expired' && !overdue(life, now)) return 'early';
  end(all, id, status, now);
  if (life.leader !== null) {
    const leader = all.lives.get(life.leader);
    leader?.followers.delete(id);
    if (leader?.runsForFollowers && leader.followers.size === 0) {
      leader.runsForFollowers = false;
      land(all, life.leader);
    }
  } else if (life.followers.size > 0) life.runsForFollowers = true;
  else land(all, id);
  return 'ended';
}

/** Removes a life when the ledger has another end in its place, so that a single read agrees with the list. */
export function drop(all: Lives, { id, endedAt }: End): void {
  const life = all.lives.get(id);
  if (!life || !isTerminal(life.status) || life.runsForFollowers || life.endedAt !== endedAt) return;
  land(all, id);
  all.lives.delete(id);
}

/** A new opening, as the ledger has the opening. */
export interface Opening {
  opening: number;
  job: string;
  expiresAt: number | null;
}

/** `reopened`: the prediction has this opening or a later opening already. */
export type RetryOutcome = 'gone' | 'refused' | 'reopened' | 'attached' | 'queued';

export function retry(all: Lives, id: string, again: Opening): RetryOutcome {
  const life = all.lives.get(id);
  if (!life) return 'gone';
  if (life.opening >= again.opening) return 'reopened';
  if (life.status === 'succeeded' || !isTerminal(life.status)) return 'refused';
  if (!life.hasTask) return 'gone';
  return reopen(life, again);
}

function reopen(life: Life, { opening, job, expiresAt }: Opening): 'attached' | 'queued' {
  Object.assign(life, { opening, leader: null, expiresAt, endedAt: null });
  if (life.runsForFollowers) {
    life.runsForFollowers = false;
    life.status = life.worker === null ? 'queued' : 'running';
    return 'attached';
  }
  Object.assign(life, { status: 'queued', attemptsBefore: life.attempts, job, worker: null, flight: null });
  return 'queued';
}

export interface Adoption extends Opening {
  /** The time of the end that the ledger's last retry replaced. */
  supersededAt: number | null;
}

export type AdoptOutcome = 'gone' | 'terminal' | 'carried' | 'adopted';

/** Gives a prediction without a job its own job and the opening of the ledger. */
export function adopt(all: Lives, id: string, row: Adoption, around: Surroundings): AdoptOutcome {
  const life = all.lives.get(id);
  if (!life) return 'gone';
  const undone = life.opening < row.opening || row.opening === 0;
  const endedAt = isTerminal(life.status) && life.status !== 'succeeded' ? life.endedAt : null;
  if (undone && endedAt !== null && row.supersededAt !== null && endedAt <= row.supersededAt)
    return reopen(life, row) === 'queued' ? 'adopted' : 'carried';
  if (life.opening < row.opening) life.opening = row.opening;
  const ended = life.runsForFollowers ? null : endOf(id, life);
  if (ended) {
    all.ends.push(ended);
    return 'terminal';
  }
  if (life.leader !== null) {
    const leader = all.lives.get(life.leader);
    if (leader && (!isTerminal(leader.status) || leader.runsForFollowers) && around.jobRuns(leader.job))
      return 'carried';
    life.leader = null;
  } else if (around.jobRuns(life.job)) return 'carried';
  life.job = row.job;
  return 'adopted';
}
