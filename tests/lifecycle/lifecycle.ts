/**
 * The life of a prediction, as a pure state machine: what the scripts of live/*.lua do, without Redis, clock or I/O. It
 * is explored by property (lifecycle.test.ts), and the scripts are held to it (tests/lifecycle/model.test.ts).
 *
 * In prose. A prediction enters as `queued`, and leads a computation of its own unless the same question is under way:
 * then it follows its leader, and whatever ends the leader's computation ends it too. A worker takes it (`running`); each
 * taking is an attempt with the next number, and a result counts only if it comes from the latest. From `queued` or
 * `running` it goes to one of four ends: `succeeded` and `failed` by a result, `canceled` by its caller, `expired` by its
 * deadline. A leader that is canceled or expires while others follow it is computed for them all the same (`goesOn`), and
 * its own end stays. Executions that end with their worker are repeated, and fail the prediction when they are too many; an
 * execution whose worker lives on ended for another reason, and is not counted.
 * An end is for ever, but that a caller may open what did not succeed again, as further attempts under the same id. Each
 * opening has a number, and each end belongs to one opening: the ledger gives the number, before Redis is told of the retry.
 * Followers whose leader nobody carries any more are adopted: each then leads for itself.
 */
import { isTerminal, type Status, type TerminalStatus } from '../../packages/shared/src/predictions/prediction.ts';

export interface Life {
  status: Status;
  /** Executions begun. */
  attempts: number;
  /** Attempts that cannot have been lost: those before it was last submitted or retried, and those whose worker lived on. */
  attemptsBefore: number;
  /** 0, and one more for each retry. */
  opening: number;
  createdAt: number;
  endedAt: number | null;
  expiresAt: number | null;
  flight: string | null;
  leader: string | null;
  job: string;
  worker: string | null;
  /** It has ended, and is computed for its followers. */
  runsForFollowers: boolean;
  hasTask: boolean;
  /** Whose followers it has; kept beside `leader` as the scripts keep it. */
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
  /** Who computes a question now; a success lingers. */
  flights: Map<string, string>;
  /** Every end in order, as it is told to waiters and to the recorder. */
  ends: End[];
}

/** What the state of predictions does not tell. */
export interface Surroundings {
  now: number;
  /** Whether a job is still to be run. */
  jobRuns(job: string): boolean;
  workerLives(worker: string): boolean;
}

/** A job that was submitted so lately may still be on its way. */
const YOUNG_MS = 3_000;

export const noLives = (): Lives => ({ lives: new Map(), flights: new Map(), ends: [] });

const overdue = (life: Life, now: number): boolean => life.expiresAt !== null && life.expiresAt <= now;

/** The end of a life; null while it has none. */
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

/** A flight that lingers is kept. */
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
      // Too often lost, it fails as it stands; a result counts as its attempt.
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
  /** The job that names it. */
  job: string;
  attemptsMax: number;
}

/** The attempt to run, or null where there is nothing to run. */
export function take(
  all: Lives,
  { id, worker, job, attemptsMax }: Taking,
  { now, workerLives }: Pick<Surroundings, 'now' | 'workerLives'>,
): number | null {
  const life = all.lives.get(id);
  if (!life) return null;
  // The job of an earlier opening may still be there.
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

/** `written`, `cancelled` (it had ended: thrown away) or `fenced` (the work had been lost). */
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

/** Cancels or expires one, and nobody with it. */
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

/** The ledger has another end in place of this one: Redis forgets it, so that a poll says what the list says. */
export function drop(all: Lives, { id, endedAt }: End): void {
  const life = all.lives.get(id);
  if (!life || !isTerminal(life.status) || life.runsForFollowers || life.endedAt !== endedAt) return;
  land(all, id);
  all.lives.delete(id);
}

/** A new opening, as the ledger has it. */
export interface Opening {
  opening: number;
  job: string;
  expiresAt: number | null;
}

/** `reopened`: it has this opening, or a later one, already. */
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
  /** When the end was that the ledger's last retry undid. */
  supersededAt: number | null;
}

export type AdoptOutcome = 'gone' | 'terminal' | 'carried' | 'adopted';

/** Gives one that nobody carries a job of its own, and the opening that the ledger has. */
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
