/**
 * The live state of predictions on the queue Redis. Each transition is one script (the .lua files of this folder), so that a
 * transition happens completely or not at all, and no process reads an incomplete transition.
 */
import type { Cluster, Redis } from 'ioredis';
import { freeBytes } from '../predictions/free-bytes.ts';
import { shardOf, shardOfId } from '../predictions/ids.ts';
import { BULL_PRIORITY, type Priority, type Status } from '../predictions/prediction.ts';
import { readOptions } from '../predictions/request-options.ts';
import type { StoredTask } from '../predictions/task.ts';
import { flightName, type Keys } from '../redis/keys.ts';
import { scriptOf } from '../redis/script.ts';
import { untilWritable } from '../redis/until-writable.ts';
import { isWrongType } from '../redis/wrong-type.ts';
import { CANCELED, EXPIRED, LOST } from './end-errors.ts';
import { batchedText, type Ending, type Finished, finishTexts } from './ended-state.ts';
import { LargeEnds, type ToLedger, type Verdict } from './large-ends.ts';
import { type NewPrediction, newState, type StateTarget, stateFrame, stateText } from './new-state.ts';
import { areOpen } from './open-states.ts';
import { type QueueCounts, queueCounts, readQueueCounts } from './queue-counts.ts';
import { bytesOf, codesOf, listOf, outcomeOf, textsOf } from './script-replies.ts';
import { type Argument, type Scripted, withScripts } from './scripts.ts';
import {
  type LivePrediction,
  parseState,
  readLongState,
  readOpenBeginning,
  readState,
  resultIsWhole,
  type Taken,
  takenOf,
} from './state.ts';
import { hasHead, letterOf, msText, statusOf, workerText } from './state-layout.ts';
import {
  charactersOf,
  IN_TRANSIT_CHARACTERS,
  isKnownLong,
  isLong,
  isLongEnd,
  partsOf,
  type Submitted,
  submitted,
} from './submission.ts';

export type { Finished } from './ended-state.ts';
export type { NewPrediction, StateTarget } from './new-state.ts';
export type { QueueCounts } from './queue-counts.ts';
export type { LivePrediction, Taken } from './state.ts';
export type { Submitted } from './submission.ts';

/** A completion event contains results up to this size. Readers get a larger result from the live state. */
const INLINE_BYTES = 4_096;
/** Longer than any prediction waits: a deadline is at most a week. */
const WAITING_TTL_MS = 8 * 86_400_000;
/** Lifetime of a failed, canceled or expired state, and of a long success. The recorder shortens the lifetime after recording. */
export const UNRECORDED_TTL_MS = 86_400_000;
/** Default lifetime of a success. The recorder gets the success from the stream. */
const TERMINAL_TTL_MS = 600_000;
/** Characters of results that one run of finish.lua writes: Redis does nothing else during the run. */
const FINISH_CHARACTERS = 524_288;
/** Bytes that hold all of a state in nearly every case. */
const PEEK_BYTES = 8_192;
/** A state below this size is read over the connection for small commands. */
const SMALL_BYTES = 65_536;
/** Lifetime of a flight after a success, for requests that missed the cache before the end. */
export const FLIGHT_LINGERS_MS = 5_000;

/** The beginning of a live state. */
export interface LiveHead extends LivePrediction {
  /** Bytes of the whole state. */
  bytes: number;
}

export interface Retry {
  id: string;
  tenant: string;
  /** The name of the new job. */
  job: string;
  /** The number of the new opening in the ledger. */
  opening: number;
  expiresAt: number | null;
  nowMs: number;
}

/** `refused`: the prediction is open or has succeeded. `reopened`: Redis has this opening or a later opening. */
export type Retried = { outcome: 'queued' | 'attached' | 'gone' } | { outcome: 'refused' | 'reopened'; status: Status };

/** The row of an open prediction in the ledger. */
export interface OpenRow {
  id: string;
  model: string;
  opening: number;
  /** The time of the end that the last retry undid. */
  supersededAt: number | null;
  expiresAt: number | null;
}

interface FollowersToEnd {
  shard: number;
  leader: string;
  nowMs: number;
  /** The result of the followers; without `result` the followers get the end of the leader. */
  result?: Finished | undefined;
  /** The padded id of the worker of `result`. */
  worker?: string;
}

type ShardEnding = Ending & { shard: number };

interface LiveStoreOptions {
  terminalTtlMs?: number;
  /** A second connection to the same Redis for large texts. Without `large` all commands use one connection. */
  large?: Redis | Cluster;
  /** Writes long outputs into the ledger instead of the live state. Only workers have this function. */
  toLedger?: ToLedger;
}

interface Submission {
  priority: Priority;
  job: string;
  nowMs: number;
}

interface TakeParams {
  worker: string;
  maxAttempts: number;
  nowMs: number;
  /** The jobs of the predictions, in the same order, if one of these is a later job: only the job of an opening runs this opening. */
  jobs?: readonly string[];
}

export class LiveStore {
  readonly #redis: Scripted;
  /** The connection for texts of more than LARGE_CHARACTERS. */
  readonly #large: Scripted;
  readonly #largeEnds: LargeEnds;
  readonly #keys: Keys;
  /** Arguments of scripts: lifetime of a recorded and of an unrecorded end, and the longest result in an event. */
  readonly #ends: readonly number[];

  constructor(
    redis: Redis | Cluster,
    keys: Keys,
    { terminalTtlMs = TERMINAL_TTL_MS, large = redis, toLedger }: LiveStoreOptions = {},
  ) {
    this.#redis = withScripts(redis);
    this.#large = large === redis ? this.#redis : withScripts(large);
    this.#keys = keys;
    this.#ends = [terminalTtlMs, UNRECORDED_TTL_MS, INLINE_BYTES];
    this.#largeEnds = new LargeEnds({
      redis: this.#large,
      keys,
      unrecordedTtlMs: UNRECORDED_TTL_MS,
      flightLingersMs: FLIGHT_LINGERS_MS,
      expire: (id, tenant, nowMs) => this.end(id, { tenant, status: 'expired', nowMs }),
      discard: (id) => this.discard(id),
      toLedger,
    });
  }

  #tag(shard: number): string {
    return this.#keys.tag(shard);
  }

  #jobs(shard: number, model: string): string {
    return `${this.#keys.bull(shard)}:${model}:`;
  }

  /** Whether some items use the connection for large texts. The next command can then overtake these items. */
  sendsLarge(items: readonly NewPrediction[]): boolean {
    return this.#large !== this.#redis && partsOf(items).some(isLong);
  }

  /**
   * Writes new predictions of one model version and priority in one script, or in several scripts if the tasks are long. The caller
   * adds `job`. Rejects if one of the scripts failed.
   */
  async submit(
    target: StateTarget,
    submission: Submission,
    items: readonly NewPrediction[],
  ): Promise<{ items: Submitted[]; counts: QueueCounts }> {
    if (items.some(isKnownLong)) return this.#submitKnown(target, submission, items);
    const replies: Promise<{ items: Submitted[]; counts: QueueCounts }>[] = [];
    let waiting = 0;
    // Small parts are sent in this turn and in order, before the next command of the caller. See sendsLarge for the others.
    for (const part of partsOf(items)) {
      const characters = charactersOf(part);
      if (waiting > 0 && waiting + characters > IN_TRANSIT_CHARACTERS && this.sendsLarge(items)) {
        await Promise.all(replies);
        waiting = 0;
      }
      waiting += characters;
      replies.push(this.#submitSome(target, submission, part));
    }
    const parts = await Promise.all(replies);
    const counts = parts.at(-1)?.counts ?? (await this.counts(target.model));
    return { items: parts.flatMap(({ items: some }) => some), counts };
  }

  async #submitSome(
    target: StateTarget,
    { priority, job, nowMs }: Submission,
    items: readonly NewPrediction[],
  ): Promise<{ items: Submitted[]; counts: QueueCounts }> {
    const redis = isLong(items) ? this.#large : this.#redis;
    const { model } = target;
    const shard = shardOf(model);
    const tag = this.#tag(shard);
    const args: Argument[] = items.map((item) => this.#keys.live(item.id));
    args.push(nowMs, tag, model, BULL_PRIORITY[priority], this.#jobs(shard, model), WAITING_TTL_MS, ...this.#ends);
    const knowns = items.flatMap(({ known }, at) => (known === null ? [] : [at + 1, String(known)]));
    args.push(knowns.length / 2, ...knowns);
    const frame = stateFrame(target, { priority, job, nowMs });
    const states = items.map((item) => newState(frame, item, item.flight === null ? '' : flightName(item.flight)));
    const rows = listOf(await redis.mrSubmit(items.length, ...args, ...states));
    // Redis has the states. After an error the client can still have a state to send.
    for (const state of states) if (typeof state !== 'string') freeBytes(state);
    const counted = textsOf(rows.pop());
    return { items: rows.map(submitted), counts: queueCounts(counted.map(Number)) };
  }

  /** As `submit`, for items of which some have long cached outputs. No script carries these outputs. */
  async #submitKnown(
    target: StateTarget,
    { priority, job, nowMs }: Submission,
    items: readonly NewPrediction[],
  ): Promise<{ items: Submitted[]; counts: QueueCounts }> {
    const others = items.filter((item) => !isKnownLong(item));
    const reply = others.length === 0 ? undefined : await this.submit(target, { priority, job, nowMs }, others);
    const tag = this.#tag(shardOf(target.model));
    const frame = stateFrame(target, { priority, job, nowMs });
    const outcomes: Submitted[] = [];
    let next = 0;
    for (const item of items) {
      const { id, known: result } = item;
      if (result === null || !isKnownLong(item)) {
        const outcome = reply?.items[next];
        if (outcome) outcomes.push(outcome);
        next += 1;
        continue;
      }
      const state = stateText(frame, item, item.flight === null ? '' : flightName(item.flight));
      const written = await this.#largeEnds.writeKnown(tag, id, { state, result, nowMs });
      outcomes.push(written === 'written' ? { outcome: 'done' } : { outcome: 'exists', status: written });
    }
    return { items: outcomes, counts: reply?.counts ?? (await this.counts(target.model)) };
  }

  /** Marks predictions as running for `worker` and returns their tasks. Skips predictions that need no computation. */
  async take(
    shard: number,
    ids: readonly string[],
    { worker, maxAttempts, nowMs, jobs = [] }: TakeParams,
  ): Promise<Taken[]> {
    const taken: Taken[] = [];
    let leftJobs = jobs;
    for (let left = ids; left.length > 0; ) {
      const states = bytesOf(
        await this.#redis.mrTakeBuffer(
          left.length,
          ...left.map((id) => this.#keys.live(id)),
          nowMs,
          this.#tag(shard),
          workerText(worker),
          maxAttempts,
          ...this.#ends,
          LOST,
          EXPIRED,
          ...leftJobs,
        ),
      );
      const later: string[] = [];
      const laterJobs: string[] = [];
      for (const [at, id] of left.entries()) {
        const state = states[at] ?? null;
        const job = leftJobs[at];
        if (state === null) {
          later.push(id);
          if (job !== undefined) laterJobs.push(job);
        } else if (state.length > 0) {
          const one = takenOf(id, state);
          if (one) taken.push(one);
          else await this.discard(id);
        }
      }
      for (const leader of states.slice(left.length))
        if (leader !== null) await this.#endFollowers({ shard, leader: leader.toString(), nowMs });
      left = later;
      leftJobs = laterJobs;
    }
    return taken;
  }

  /**
   * Writes results: short results in scripts of about FINISH_CHARACTERS, and each long result alone. Waits while Redis refuses the
   * write. Returns a verdict for each result: `written`, `cancelled` (the prediction was canceled), or `fenced` (an old attempt).
   */
  async finish(
    shard: number,
    items: readonly Finished[],
    { worker, nowMs }: { worker: string; nowMs: number },
  ): Promise<Verdict[]> {
    const ending = { shard, nowMs, worker: workerText(worker) };
    const verdicts: Verdict[] = [];
    let some: Finished[] = [];
    let characters = 0;
    const finishSome = async () => {
      if (some.length > 0) verdicts.push(...(await this.#finishSome(some, ending)));
      some = [];
      characters = 0;
    };
    for (const item of items) {
      if (isLongEnd(item)) {
        await finishSome();
        verdicts.push(await this.#largeEnds.finish(this.#tag(shard), item, ending));
        continue;
      }
      some.push(item);
      characters += item.result.length;
      if (characters >= FINISH_CHARACTERS) await finishSome();
    }
    await finishSome();
    return verdicts;
  }

  /** Runs finish.lua once. Waits while Redis refuses the script. */
  async #finishSome(items: readonly Finished[], ending: ShardEnding): Promise<Verdict[]> {
    const { shard, nowMs } = ending;
    const keys = items.map(({ id }) => this.#keys.live(id));
    const texts = items.flatMap((item) => finishTexts(item, ending, INLINE_BYTES));
    const args = [...keys, nowMs, this.#tag(shard), ...this.#ends, FLIGHT_LINGERS_MS, EXPIRED, ...texts];
    const codes = codesOf(await untilWritable(() => this.#redis.mrFinish(keys.length, ...args)));
    for (const [at, item] of items.entries()) {
      const code = codes[at] ?? 0;
      if (code < 3) continue;
      const result = code === 4 ? item : undefined;
      await this.#endFollowers({ shard, leader: item.id, nowMs, result, worker: ending.worker });
    }
    return codes.map((code) => (code === 0 ? 'fenced' : code === 2 ? 'cancelled' : 'written'));
  }

  /**
   * Ends the followers of a leader with `result`, or with the end of the leader, in as many runs as necessary. The followers of a
   * canceled or expired leader fail as lost. If the worker dies between two runs, the next worker takes the job and `take` continues.
   * The reconciler also finds promised followers.
   */
  async #endFollowers({ shard, leader, nowMs, result, worker = '' }: FollowersToEnd): Promise<void> {
    const args = [nowMs, this.#tag(shard), leader, ...this.#ends, EXPIRED, LOST];
    if (result === undefined) args.push('', '', '', '', '', '', '');
    else
      args.push(
        letterOf(result.status),
        msText(result.startedAt),
        result.inferenceMs.toFixed(3),
        result.batchSize,
        String(result.result),
        worker,
        batchedText(result),
      );
    let left = 1;
    while (left > 0)
      left = Number(await untilWritable(() => this.#redis.mrFollowers(1, this.#keys.live(leader), ...args)));
    const ended = left < 0 ? await this.readWhole(leader) : null;
    // No prediction follows a leader whose output is in the ledger.
    if (ended?.status !== 'succeeded' || ended.ledgerOutput !== undefined) return;
    const made = {
      ...ended,
      startedAt: ended.startedAt ?? nowMs,
      batchedMs: readOptions(ended.options).batched ?? null,
      worker: workerText(ended.workerId ?? ''),
    };
    await this.#largeEnds.endFollowers({ tag: this.#tag(shard), leader, made, nowMs });
  }

  /** Cancels or expires a prediction. `early`: the deadline is in the future. */
  async end(
    id: string,
    { tenant, status, nowMs }: { tenant: string; status: 'canceled' | 'expired'; nowMs: number },
  ): Promise<
    { outcome: 'ended'; was: Status } | { outcome: 'terminal'; status: Status } | { outcome: 'gone' | 'early' }
  > {
    const result = status === 'canceled' ? CANCELED : EXPIRED;
    const shard = shardOfId(id);
    const args = [nowMs, this.#tag(shard), id, letterOf(status), result, ...this.#ends, tenant];
    const [outcome, detail] = outcomeOf(await this.#redis.mrEnd(1, this.#keys.live(id), ...args));
    if (outcome === 'ended') return { outcome, was: statusOf(detail) };
    if (outcome === 'terminal') return { outcome, status: statusOf(detail) };
    return { outcome: outcome === 'early' ? 'early' : 'gone' };
  }

  /** Opens an ended prediction again. For `queued` the caller adds `job`. `gone`: Redis does not have the prediction. */
  async retry({ id, tenant, job, opening, expiresAt, nowMs }: Retry): Promise<Retried> {
    const args = [nowMs, this.#tag(shardOfId(id)), id, job, msText(expiresAt), WAITING_TTL_MS, tenant, opening];
    const [outcome, status] = outcomeOf(await this.#redis.mrRetry(1, this.#keys.live(id), ...args));
    if (outcome === 'refused' || outcome === 'reopened') return { outcome, status: statusOf(status) };
    return { outcome: outcome as 'queued' | 'attached' | 'gone' };
  }

  /**
   * For the reconciler: gives a prediction without a job a new job. For `adopted` the caller adds `job`. If the row of the ledger
   * has a later opening, Redis gets this opening too. With `announce` a terminal prediction gets a new entry in the recorder's
   * stream.
   */
  async adopt(
    row: OpenRow,
    { job, nowMs, announce = true }: { job: string; nowMs: number; announce?: boolean },
  ): Promise<{ outcome: 'gone' | 'terminal' | 'carried' } | { outcome: 'adopted'; priority: number }> {
    const { id, model, opening, supersededAt, expiresAt } = row;
    const shard = shardOfId(id);
    const args = [nowMs, this.#tag(shard), id, job, this.#jobs(shard, model), WAITING_TTL_MS];
    args.push(opening, msText(supersededAt), msText(expiresAt), announce ? 1 : 0);
    const [outcome, priority] = outcomeOf(await this.#redis.mrAdopt(1, this.#keys.live(id), ...args));
    if (outcome === 'adopted') return { outcome, priority: Number(priority) };
    return { outcome: outcome as 'gone' | 'terminal' | 'carried' };
  }

  /** Null if Redis does not have the prediction. Without a long task, because a poll does not need the task. */
  async read(id: string): Promise<LivePrediction | null> {
    const key = this.#keys.live(id);
    const state = await this.#redis.getrangeBuffer(key, 0, PEEK_BYTES - 1).catch(noStateIfWrongType);
    if (state.length === 0) return null;
    if (state.length < PEEK_BYTES) return this.#readable(id, state);
    const open = readOpenBeginning(id, state);
    if (open !== undefined) return open;
    const longer = await this.#redis.getrangeBuffer(key, 0, SMALL_BYTES - 1).catch(noStateIfWrongType);
    if (longer.length === 0) return null;
    if (longer.length < SMALL_BYTES) return this.#readable(id, longer);
    return this.readWhole(id);
  }

  /**
   * Whether each prediction is open. False for a prediction that has ended, for an unreadable state, and for an id that Redis does not
   * have: `read` distinguishes these. One command for each shard.
   */
  async areOpen(ids: readonly string[]): Promise<boolean[]> {
    const open = new Set<string>();
    for (const some of Map.groupBy(ids, shardOfId).values()) {
      const keys = some.map((id) => this.#keys.live(id));
      const found = await areOpen(this.#redis, keys);
      for (const [at, id] of some.entries()) if (found[at]) open.add(id);
    }
    return ids.map((id) => open.has(id));
  }

  /** Parses a state. Discards an unreadable state and returns null: see lib.lua. */
  async #readable(id: string, state: Buffer): Promise<LivePrediction | null> {
    const read = readState(id, state);
    if (read) return read;
    await this.discard(id);
    return null;
  }

  /**
   * Discards an unreadable state. With an attempt, also discards a running state with an unreadable task if the attempt is the latest. The
   * ledger, or the API process of the waiting caller, still has the prediction. An end of the prediction stays.
   */
  async discard(id: string, attempt?: number): Promise<void> {
    await this.#redis.mrDiscard(1, this.#keys.live(id), attempt ?? '', UNRECORDED_TTL_MS);
  }

  /** Fails a running prediction whose task no store has, if the attempt is the latest. Its followers have tasks, and stay open. */
  async failAlone(
    id: string,
    { attempt, error, nowMs }: { attempt: number; error: string; nowMs: number },
  ): Promise<void> {
    const [recorded = 0, unrecorded = 0, inline = 0] = this.#ends;
    const args = [attempt, unrecorded, nowMs, this.#tag(shardOfId(id)), error, recorded, inline];
    await this.#redis.mrDiscard(1, this.#keys.live(id), ...args);
  }

  /** Puts the text of a task in place of its name in the ledger. Resolves to false for a state with another task. */
  async writeTask(id: string, { name, text }: { name: Buffer; text: string }): Promise<boolean> {
    return Number(await this.#large.mrWrite(1, this.#keys.live(id), name, text)) === 1;
  }

  /** The number of states of a shard that all processes discarded since the last call. */
  async takeDiscarded(shard: number): Promise<number> {
    return Number(await TAKE_COUNT(this.#redis, 1, this.#keys.unreadable(shard)));
  }

  /**
   * Reads states with their tasks; null for an id that Redis does not have. One round trip for each shard, or with `large` in pieces
   * over the connection for large texts.
   */
  async readMany(ids: readonly string[], { large = false } = {}): Promise<(LivePrediction | null)[]> {
    const states = new Map<string, LivePrediction | null>();
    // One state at a time limits the memory of the process.
    if (large) for (const id of ids) states.set(id, await this.readWhole(id));
    else
      await Promise.all(
        [...Map.groupBy(ids, shardOfId).values()].map(async (some) => {
          const texts = await this.#redis.mgetBuffer(some.map((id) => this.#keys.live(id)));
          for (const [at, id] of some.entries()) {
            const text = texts[at];
            // MGET returns null for a key of another type.
            if (text) states.set(id, await this.#readable(id, text));
          }
        }),
      );
    return ids.map((id) => states.get(id) ?? null);
  }

  /**
   * Reads the beginnings of states for a list, in order: without tasks, and without a result that does not fit in PEEK_BYTES. The
   * reply is small for states of any size. Null for an id that Redis does not have.
   */
  async heads(ids: readonly string[]): Promise<(LiveHead | null)[]> {
    return Promise.all(
      ids.map(async (id) => {
        const key = this.#keys.live(id);
        const [beginning, bytes] = await Promise.all([
          this.#redis.getrange(key, 0, PEEK_BYTES - 1).catch(unlessWrongType),
          this.#strlen(id),
        ]);
        if (beginning === '') return null;
        // The caller uses the row of the ledger for an unreadable state. The reconciler discards the state.
        if (!hasHead(beginning)) return null;
        const state = parseState(id, beginning);
        return {
          ...state,
          task: '',
          bytes,
          result: bytes <= PEEK_BYTES || resultIsWhole(beginning) ? state.result : '',
        };
      }),
    );
  }

  async #strlen(id: string): Promise<number> {
    const bytes = await this.#redis.strlen(this.#keys.live(id)).catch(unlessWrongType);
    return Number(bytes);
  }

  /** Bytes of each state, in order; 0 for an id that Redis does not have. */
  async sizes(ids: readonly string[]): Promise<number[]> {
    return Promise.all(ids.map((id) => this.#strlen(id)));
  }

  /** As `read`, with the task. */
  async readWhole(id: string): Promise<LivePrediction | null> {
    const bytes = await this.#largeEnds.read(id);
    if (bytes === null) return null;
    const read = readLongState(id, bytes);
    if (read === undefined) await this.discard(id);
    return read ?? null;
  }

  /** The task, or null. */
  async task(id: string): Promise<StoredTask | null> {
    return (await this.readWhole(id))?.task || null;
  }

  /** Shortens the lifetime of recorded ends of one shard. */
  async shorten(ends: readonly { id: string; completedAt: number }[], ttlMs: number): Promise<void> {
    if (ends.length === 0) return;
    const keys = ends.map(({ id }) => this.#keys.live(id));
    await this.#redis.mrShorten(ends.length, ...keys, ttlMs, ...ends.map(({ completedAt }) => msText(completedAt)));
  }

  /** Deletes ends of one shard that differ from the ends in the ledger. */
  async drop(ends: readonly { id: string; completedAt: number }[]): Promise<void> {
    const [first] = ends;
    if (!first) return;
    const keys = ends.map(({ id }) => this.#keys.live(id));
    const times = ends.map(({ completedAt }) => msText(completedAt));
    await this.#redis.mrDrop(ends.length, ...keys, this.#tag(shardOfId(first.id)), ...times);
  }

  /** Whether the worker has sent a heartbeat in the last seconds. */
  async workerLives(shard: number, workerId: string): Promise<boolean> {
    return (await this.#redis.exists(this.#keys.worker(shard, workerId))) === 1;
  }

  async counts(model: string): Promise<QueueCounts> {
    return readQueueCounts(this.#redis, this.#keys, model);
  }
}

/** Stands for the text of a key of another type. No state begins with this text. */
const NO_STATE = '?';

function unlessWrongType(error: Error): string {
  if (isWrongType(error)) return NO_STATE;
  throw error;
}

function noStateIfWrongType(error: Error): Buffer {
  return Buffer.from(unlessWrongType(error));
}

const TAKE_COUNT = scriptOf(`
local count = redis.call('GET', KEYS[1])
if count then redis.call('DEL', KEYS[1]) end
return count or '0'`);
