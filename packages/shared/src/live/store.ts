/**
 * The live state of predictions on the queue Redis. Each transition is one script (see the .lua files beside this one),
 * so that it happens whole or not at all, and no two processes ever see it half done.
 */
import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';
import { problem } from '../errors.ts';
import { shardOf, shardOfId } from '../predictions/ids.ts';
import { BULL_PRIORITY, type Priority, type Status } from '../predictions/prediction.ts';
import { flightName, type Keys } from '../redis/keys.ts';
import { untilWritable } from '../redis/until-writable.ts';
import { isWrongType } from '../redis/wrong-type.ts';
import { LargeEnds, type Verdict } from './large-ends.ts';
import {
  type Ending,
  type Finished,
  finishTexts,
  hasHead,
  type LivePrediction,
  letterOf,
  msText,
  type NewPrediction,
  newState,
  parseState,
  readLongState,
  readState,
  resultIsWhole,
  type StateTarget,
  stateFrame,
  statusOf,
  type Taken,
  takenOf,
  wholeWithoutTask,
  workerText,
} from './state.ts';

export type { Finished, LivePrediction, NewPrediction, StateTarget, Taken } from './state.ts';

/** Results up to this many bytes travel in the completion event itself; larger ones are read from the live state. */
const INLINE_BYTES = 4_096;
/** A prediction waits no longer than its deadline, which is at most a week. */
const WAITING_TTL_MS = 8 * 86_400_000;
/** What ended otherwise than well, or with a long result, is kept so long for the recorder, who shortens it. */
export const UNRECORDED_TTL_MS = 86_400_000;
/** How long what has succeeded is kept unless told otherwise: the recorder has it from the stream. */
const TERMINAL_TTL_MS = 600_000;
/** Results of one run of finish.lua: Redis does nothing else meanwhile. */
const FINISH_CHARACTERS = 524_288;
/**
 * A text of more characters goes over the connection for large ones, so that no small command waits behind it. A result of
 * more never passes through a script: see large-ends.ts.
 */
const LARGE_CHARACTERS = 131_072;
/** Enough of a state to show it, in nearly every case. */
const PEEK_BYTES = 8_192;
/** A state up to this length is read over the connection for small commands. */
const SMALL_BYTES = 65_536;
/** How long a finished flight still answers: a request that missed the cache just before must not compute again. */
const FLIGHT_LINGERS_MS = 5_000;

const EXPIRED = JSON.stringify(problem('expired', 'It was not answered before its deadline.'));
const LOST = JSON.stringify(problem('worker_lost', 'Each of its executions ended with its worker.'));
const CANCELED = JSON.stringify(problem('canceled', 'It was canceled on request.'));

/** A prediction as its first bytes in Redis show it. */
export interface LiveHead extends LivePrediction {
  /** Of the whole state. */
  bytes: number;
}

export type Submitted =
  | { outcome: 'lead'; number: number }
  | { outcome: 'follow'; leader: string; leaderPriority: number; leaderJob: string }
  /** The same question was answered a moment ago; this one is terminal already. */
  | { outcome: 'done' }
  /** It is known already: a repeated submission that had in fact worked. */
  | { outcome: 'exists'; status: Status };

export interface QueueCounts {
  /** By BullMQ priority: how many predictions entered and left the queue. */
  entered: Record<number, number>;
  left: Record<number, number>;
}

export interface Retry {
  id: string;
  tenant: string;
  /** The job that is to carry it. */
  job: string;
  /** The number that the ledger has given to the new opening. */
  opening: number;
  expiresAt: number | null;
  nowMs: number;
}

/** `refused`: it is not an end that a retry may undo. `reopened`: Redis has this opening, or a later one, already. */
export type Retried = { outcome: 'queued' | 'attached' | 'gone' } | { outcome: 'refused' | 'reopened'; status: Status };

/** What the ledger has of a prediction that is open there. */
export interface OpenRow {
  id: string;
  model: string;
  opening: number;
  /** When the end was that the last retry undid. */
  supersededAt: number | null;
  expiresAt: number | null;
}

type ShardEnding = Ending & { shard: number };

type Script = (numberOfKeys: number, ...args: (string | number)[]) => Promise<unknown>;
type Scripted = (Redis | Cluster) &
  Record<
    | 'mrSubmit'
    | 'mrTake'
    | 'mrFinish'
    | 'mrEnd'
    | 'mrRetry'
    | 'mrAdopt'
    | 'mrShorten'
    | 'mrDrop'
    | 'mrFollowers'
    | 'mrDiscard'
    | 'mrPlace'
    | 'mrPassed',
    Script
  >;

const source = (name: string) => readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');
const LIB = source('lib');
const SCRIPTS = {
  mrSubmit: source('submit'),
  mrTake: source('take'),
  mrFinish: source('finish'),
  mrEnd: source('end'),
  mrRetry: source('retry'),
  mrAdopt: source('adopt'),
  mrShorten: source('shorten'),
  mrDiscard: source('discard'),
  mrDrop: source('drop'),
  mrFollowers: source('followers'),
  mrPlace: source('place'),
  mrPassed: source('passed'),
} as const;

/**
 * Scripts that run although Redis has no memory left: they end a prediction or free memory, and add a few bytes at most.
 * A prediction that nobody wants must not wait in a full Redis, and what frees memory must not wait for memory.
 */
const RUNS_WHEN_FULL: ReadonlySet<string> = new Set([
  'mrEnd',
  'mrShorten',
  'mrDrop',
  'mrDiscard',
  'mrRetry',
  'mrPlace',
  'mrPassed',
]);

export class LiveStore {
  readonly #redis: Scripted;
  /** For texts of more than LARGE_CHARACTERS. */
  readonly #large: Scripted;
  readonly #largeEnds: LargeEnds;
  readonly #keys: Keys;
  /** ARGV that tell how long an end is kept: recorded, unrecorded; and how long a result may be in an event. */
  readonly #ends: readonly number[];

  /** `large` is a second connection to the same Redis, over which large texts go; without it everything shares `redis`. */
  constructor(
    redis: Redis | Cluster,
    keys: Keys,
    terminalTtlMs: number = TERMINAL_TTL_MS,
    large: Redis | Cluster = redis,
  ) {
    for (const connection of new Set([redis, large]))
      for (const [name, lua] of Object.entries(SCRIPTS)) {
        const flags = RUNS_WHEN_FULL.has(name) ? '#!lua flags=allow-oom\n' : '';
        connection.defineCommand(name, { lua: `${flags}${LIB}\n${lua}` });
      }
    this.#redis = redis as Scripted;
    this.#large = large as Scripted;
    this.#keys = keys;
    this.#ends = [terminalTtlMs, UNRECORDED_TTL_MS, INLINE_BYTES];
    this.#largeEnds = new LargeEnds({
      redis: this.#large,
      keys,
      unrecordedTtlMs: UNRECORDED_TTL_MS,
      flightLingersMs: FLIGHT_LINGERS_MS,
      expire: (id, tenant, nowMs) => this.end(id, tenant, 'expired', nowMs),
      discard: (id) => this.discard(id),
    });
  }

  #tag(shard: number): string {
    return this.#keys.tag(shard);
  }

  #jobs(shard: number, model: string): string {
    return `${this.#keys.bull(shard)}:${model}:`;
  }

  /** Whether some of these go over the connection for large texts: what is sent next may overtake them. */
  sendsLarge(items: readonly NewPrediction[]): boolean {
    return this.#large !== this.#redis && partsOf(items).some(isLong);
  }

  /**
   * Writes new predictions of one model version and priority, which `job` (still to be added) is to carry: in one script, or in
   * several where their tasks are long. Rejects when one of the scripts failed.
   */
  async submit(
    target: StateTarget,
    priority: Priority,
    job: string,
    items: readonly NewPrediction[],
    nowMs: number,
  ): Promise<{ items: Submitted[]; counts: QueueCounts }> {
    if (items.some(isKnownLong)) return this.#submitKnown(target, { priority, job, nowMs }, items);
    const replies: Promise<{ items: Submitted[]; counts: QueueCounts }>[] = [];
    // All are sent in this turn, in order: what the caller sends next comes behind them.
    for (const part of partsOf(items)) replies.push(this.#submitSome(target, { priority, job, nowMs }, part));
    const parts = await Promise.all(replies);
    const { counts } = parts.at(-1) as { counts: QueueCounts };
    return { items: parts.flatMap(({ items: some }) => some), counts };
  }

  async #submitSome(
    target: StateTarget,
    { priority, job, nowMs }: { priority: Priority; job: string; nowMs: number },
    items: readonly NewPrediction[],
  ): Promise<{ items: Submitted[]; counts: QueueCounts }> {
    const redis = isLong(items) ? this.#large : this.#redis;
    const { model } = target;
    const shard = shardOf(model);
    const tag = this.#tag(shard);
    const args: (string | number)[] = items.map((item) => this.#keys.live(item.id));
    args.push(nowMs, tag, model, BULL_PRIORITY[priority], this.#jobs(shard, model), WAITING_TTL_MS, ...this.#ends);
    const knowns = items.flatMap(({ known }, at) => (known === null ? [] : [at + 1, String(known)]));
    args.push(knowns.length / 2, ...knowns);
    const frame = stateFrame(target, priority, job);
    for (const item of items) args.push(newState(frame, item, item.flight === null ? '' : flightName(item.flight)));
    const rows = (await redis.mrSubmit(items.length, ...args)) as SubmitReply[];
    const counted = rows.pop() as unknown as (string | null)[];
    return { items: rows.map(submitted), counts: queueCounts(counted.map(Number)) };
  }

  /** As `submit`, with items among them whose long outputs are known: those pass through no script. */
  async #submitKnown(
    target: StateTarget,
    { priority, job, nowMs }: { priority: Priority; job: string; nowMs: number },
    items: readonly NewPrediction[],
  ): Promise<{ items: Submitted[]; counts: QueueCounts }> {
    const others = items.filter((item) => !isKnownLong(item));
    const reply = others.length === 0 ? undefined : await this.submit(target, priority, job, others, nowMs);
    const tag = this.#tag(shardOf(target.model));
    const frame = stateFrame(target, priority, job);
    const outcomes: Submitted[] = [];
    let next = 0;
    for (const item of items) {
      const { id, known: result } = item;
      if (result === null || !isKnownLong(item)) {
        outcomes.push(reply?.items[next++] as Submitted);
        continue;
      }
      const state = newState(frame, item, item.flight === null ? '' : flightName(item.flight));
      const written = await this.#largeEnds.writeKnown(tag, id, { state, result, nowMs });
      outcomes.push(written === 'written' ? { outcome: 'done' } : { outcome: 'exists', status: written });
    }
    return { items: outcomes, counts: reply?.counts ?? (await this.counts(target.model)) };
  }

  /**
   * Marks predictions running for `worker` and returns their tasks; leaves out what need not be computed. `jobs` are the jobs that
   * named them, in the same order, where one of these is a later job: an opened-again prediction is run with its own job alone.
   */
  async take(
    shard: number,
    ids: readonly string[],
    worker: string,
    maxAttempts: number,
    nowMs: number,
    jobs: readonly string[] = [],
  ): Promise<Taken[]> {
    const taken: Taken[] = [];
    let leftJobs = jobs;
    for (let left = ids; left.length > 0; ) {
      const states = (await this.#redis.mrTake(
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
      )) as (string | null)[];
      const later: string[] = [];
      const laterJobs: string[] = [];
      for (const [at, id] of left.entries()) {
        const state = states[at] as string | null;
        if (state === null) {
          later.push(id);
          if (leftJobs.length > 0) laterJobs.push(leftJobs[at] as string);
        } else if (state !== '') taken.push(takenOf(id, state));
      }
      for (const leader of states.slice(left.length)) await this.#endFollowers(shard, leader as string, nowMs);
      left = later;
      leftJobs = laterJobs;
    }
    return taken;
  }

  /**
   * Writes results, about FINISH_CHARACTERS of them in one script and each long one on its own, and waits while Redis refuses the write. Returns for each
   * whether it was `written`, came for a `cancelled` prediction, or was `fenced`.
   */
  async finish(shard: number, items: readonly Finished[], worker: string, nowMs: number): Promise<Verdict[]> {
    const ending = { shard, nowMs, worker: workerText(worker) };
    const verdicts: Verdict[] = [];
    for (let from = 0; from < items.length; ) {
      const first = items[from] as Finished;
      if (isLongEnd(first)) {
        verdicts.push(await this.#largeEnds.finish(this.#tag(shard), first, ending));
        from += 1;
        continue;
      }
      const some: Finished[] = [];
      let characters = 0;
      do {
        const item = items[from + some.length] as Finished;
        if (isLongEnd(item)) break;
        some.push(item);
        characters += item.result.length;
      } while (from + some.length < items.length && characters < FINISH_CHARACTERS);
      verdicts.push(...(await this.#finishSome(some, ending)));
      from += some.length;
    }
    return verdicts;
  }

  /** One run of finish.lua. Waits while Redis refuses it: what is written is not written again while the rest is refused. */
  async #finishSome(items: readonly Finished[], ending: ShardEnding): Promise<Verdict[]> {
    const { shard, nowMs } = ending;
    const keys = items.map(({ id }) => this.#keys.live(id));
    const texts = items.flatMap((item) => finishTexts(item, ending, INLINE_BYTES));
    const args = [...keys, nowMs, this.#tag(shard), ...this.#ends, FLIGHT_LINGERS_MS, EXPIRED, ...texts];
    const codes = (await untilWritable(() => this.#redis.mrFinish(keys.length, ...args))) as number[];
    for (const [at, code] of codes.entries()) {
      const item = items[at] as Finished;
      if (code >= 3) await this.#endFollowers(shard, item.id, nowMs, code === 4 ? item : undefined);
    }
    return codes.map((code) => (code === 0 ? 'fenced' : code === 2 ? 'cancelled' : 'written'));
  }

  /**
   * Ends the followers of a leader, in as many runs as that takes: with `result`, or with the end of the leader. Should the
   * worker die between two runs, its job is taken again and `take` goes on; promised followers the reconciler finds as well.
   */
  async #endFollowers(shard: number, leader: string, nowMs: number, result?: Finished): Promise<void> {
    const args = [nowMs, this.#tag(shard), leader, ...this.#ends, EXPIRED];
    if (result === undefined) args.push('', '', '', '', '');
    else
      args.push(
        letterOf(result.status),
        msText(result.startedAt),
        result.inferenceMs.toFixed(3),
        result.batchSize,
        String(result.result),
      );
    let left = 1;
    while (left > 0)
      left = (await untilWritable(() => this.#redis.mrFollowers(1, this.#keys.live(leader), ...args))) as number;
    const ended = left < 0 ? await this.readWhole(leader) : null;
    if (ended?.status !== 'succeeded') return;
    const made = { ...ended, startedAt: ended.startedAt ?? nowMs };
    await this.#largeEnds.endFollowers(this.#tag(shard), leader, made, nowMs);
  }

  /** Cancels or expires a prediction. `early`: its deadline has not come. */
  async end(
    id: string,
    tenant: string,
    status: 'canceled' | 'expired',
    nowMs: number,
  ): Promise<
    { outcome: 'ended'; was: Status } | { outcome: 'terminal'; status: Status } | { outcome: 'gone' | 'early' }
  > {
    const result = status === 'canceled' ? CANCELED : EXPIRED;
    const shard = shardOfId(id);
    const args = [nowMs, this.#tag(shard), id, letterOf(status), result, ...this.#ends, tenant];
    const [outcome, detail] = (await this.#redis.mrEnd(1, this.#keys.live(id), ...args)) as [string, string];
    if (outcome === 'ended') return { outcome, was: statusOf(detail) };
    if (outcome === 'terminal') return { outcome, status: statusOf(detail) };
    return { outcome: outcome === 'early' ? 'early' : 'gone' };
  }

  /** Opens an ended prediction again. On `queued` the caller adds `job`; `gone`: Redis has forgotten it. */
  async retry({ id, tenant, job, opening, expiresAt, nowMs }: Retry): Promise<Retried> {
    const args = [nowMs, this.#tag(shardOfId(id)), id, job, msText(expiresAt), WAITING_TTL_MS, tenant, opening];
    const [outcome, status] = (await this.#redis.mrRetry(1, this.#keys.live(id), ...args)) as [string, string];
    if (outcome === 'refused' || outcome === 'reopened') return { outcome, status: statusOf(status) };
    return { outcome: outcome as 'queued' | 'attached' | 'gone' };
  }

  /**
   * For the reconciler: gives a prediction a job of its own if nothing carries it. On `adopted` the caller adds `job`. `row` is
   * what the ledger has of it: where the ledger has a later opening, Redis gets that opening too. With
   * `announce` a terminal prediction gets a new entry in the recorder's stream.
   */
  async adopt(
    row: OpenRow,
    job: string,
    nowMs: number,
    announce = true,
  ): Promise<{ outcome: 'gone' | 'terminal' | 'carried' } | { outcome: 'adopted'; priority: number }> {
    const { id, model, opening, supersededAt, expiresAt } = row;
    const shard = shardOfId(id);
    const args = [nowMs, this.#tag(shard), id, job, this.#jobs(shard, model), WAITING_TTL_MS];
    args.push(opening, msText(supersededAt), msText(expiresAt), announce ? 1 : 0);
    const [outcome, priority] = (await this.#redis.mrAdopt(1, this.#keys.live(id), ...args)) as [string, string];
    if (outcome === 'adopted') return { outcome, priority: Number(priority) };
    return { outcome: outcome as 'gone' | 'terminal' | 'carried' };
  }

  /** Null when Redis does not know it. Without the task where that is long: a poll is not to carry it each time. */
  async read(id: string): Promise<LivePrediction | null> {
    const key = this.#keys.live(id);
    const state = await this.#redis.getrange(key, 0, PEEK_BYTES - 1).catch(unlessWrongType);
    if (state === '') return null;
    if (Buffer.byteLength(state) < PEEK_BYTES || wholeWithoutTask(state)) return this.#readable(id, state);
    const longer = await this.#redis.getrange(key, 0, SMALL_BYTES - 1).catch(unlessWrongType);
    if (longer === '') return null;
    if (Buffer.byteLength(longer) < SMALL_BYTES) return this.#readable(id, longer);
    return this.readWhole(id);
  }

  /** The prediction that a state shows. A state that cannot be read is discarded, and null is returned: see lib.lua. */
  async #readable(id: string, state: string): Promise<LivePrediction | null> {
    const read = readState(id, state);
    if (read) return read;
    await this.discard(id);
    return null;
  }

  /**
   * Discards a state that cannot be read; with an attempt also one whose task cannot be read, while that attempt is its
   * latest. The ledger, or the API process whose caller waits, has the prediction still.
   */
  async discard(id: string, attempt?: number): Promise<void> {
    await this.#redis.mrDiscard(1, this.#keys.live(id), attempt ?? '');
  }

  /** How many states of a shard were discarded since the last call, by any process. */
  async takeDiscarded(shard: number): Promise<number> {
    return Number(await this.#redis.eval(TAKE_COUNT, 1, this.#keys.unreadable(shard)));
  }

  /**
   * Many, their tasks too; null for those that Redis does not know. In one round trip for each shard; with `large` piece by
   * piece over the connection for large texts.
   */
  async readMany(ids: readonly string[], { large = false } = {}): Promise<(LivePrediction | null)[]> {
    const states = new Map<string, LivePrediction | null>();
    // One after the other: together they are more than a process is to hold.
    if (large) for (const id of ids) states.set(id, await this.readWhole(id));
    else
      await Promise.all(
        [...Map.groupBy(ids, shardOfId).values()].map(async (some) => {
          const texts = await this.#redis.mget(some.map((id) => this.#keys.live(id)));
          for (const [at, id] of some.entries()) {
            const text = texts[at];
            // MGET tells a key of another type as one that is absent.
            if (text) states.set(id, await this.#readable(id, text));
          }
        }),
      );
    return ids.map((id) => states.get(id) ?? null);
  }

  /**
   * What lists show of states, in order: without tasks, and without a result that is not in the first PEEK_BYTES. Bounded,
   * however large the states are; null for those that Redis does not know.
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
        // A state that nobody can read is told as the ledger has it; the reconciler discards the state.
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

  /** Bytes of each state, in order; 0 for a state that Redis does not know. Ids of one shard or of several. */
  async sizes(ids: readonly string[]): Promise<number[]> {
    return Promise.all(ids.map((id) => this.#strlen(id)));
  }

  /** As `read`, always with the task. */
  async readWhole(id: string): Promise<LivePrediction | null> {
    const bytes = await this.#largeEnds.read(id);
    if (bytes === null) return null;
    const read = readLongState(id, bytes);
    if (read === undefined) await this.discard(id);
    return read ?? null;
  }

  /** JSON text of the Task, or null. */
  async task(id: string): Promise<string | null> {
    return (await this.readWhole(id))?.task || null;
  }

  /** The ledger has these ends, all of one shard: Redis need not keep them for long. */
  async shorten(ends: readonly { id: string; completedAt: number }[], ttlMs: number): Promise<void> {
    if (ends.length === 0) return;
    const keys = ends.map(({ id }) => this.#keys.live(id));
    await this.#redis.mrShorten(ends.length, ...keys, ttlMs, ...ends.map(({ completedAt }) => msText(completedAt)));
  }

  /** The ledger has other ends in place of these, all of one shard: Redis forgets them. */
  async drop(ends: readonly { id: string; completedAt: number }[]): Promise<void> {
    const [first] = ends;
    if (!first) return;
    const keys = ends.map(({ id }) => this.#keys.live(id));
    const times = ends.map(({ completedAt }) => msText(completedAt));
    await this.#redis.mrDrop(ends.length, ...keys, this.#tag(shardOfId(first.id)), ...times);
  }

  async counts(model: string): Promise<QueueCounts> {
    const row = await this.#redis.hmget(this.#keys.queueStats(shardOf(model), model), ...COUNTS);
    return queueCounts(row.map(Number));
  }
}

/** Characters of tasks and of known answers that one run of submit.lua writes. */
const SUBMIT_CHARACTERS = 1_048_576;

/** Whether the end passes through no script. */
const isLongEnd = ({ status, result }: Finished): boolean => status === 'succeeded' && result.length > LARGE_CHARACTERS;

const isKnownLong = ({ known }: NewPrediction): boolean => known !== null && known.length > LARGE_CHARACTERS;

const lengthOf = ({ task, known }: NewPrediction): number => task.length + (known?.length ?? 0);

const isLong = (items: readonly NewPrediction[]): boolean =>
  items.reduce((sum, item) => sum + lengthOf(item), 0) > LARGE_CHARACTERS;

/** In order: parts of at most SUBMIT_CHARACTERS, or of one item. */
function partsOf(items: readonly NewPrediction[]): (readonly NewPrediction[])[] {
  const parts: NewPrediction[][] = [];
  let characters = Number.POSITIVE_INFINITY;
  for (const item of items) {
    characters += lengthOf(item);
    if (characters <= SUBMIT_CHARACTERS) (parts.at(-1) as NewPrediction[]).push(item);
    else {
      characters = lengthOf(item);
      parts.push([item]);
    }
  }
  return parts;
}

/** Stands for the text of a key that holds another type: no state is like it. */
const NO_STATE = '?';

function unlessWrongType(error: Error): string {
  if (isWrongType(error)) return NO_STATE;
  throw error;
}

const TAKE_COUNT = `
local count = redis.call('GET', KEYS[1])
if count then redis.call('DEL', KEYS[1]) end
return count or '0'`;

const COUNTS = ['s1', 't1', 's5', 't5', 's9', 't9'] as const;

function queueCounts(row: readonly number[]): QueueCounts {
  const [s1 = 0, t1 = 0, s5 = 0, t5 = 0, s9 = 0, t9 = 0] = row;
  return { entered: { 1: s1, 5: s5, 9: s9 }, left: { 1: t1, 5: t5, 9: t9 } };
}

/** The number of one that leads, or what else became of it. */
type SubmitReply = number | [string, ...(string | number)[]];

function submitted(reply: SubmitReply): Submitted {
  if (typeof reply === 'number') return { outcome: 'lead', number: reply };
  const [outcome, a, b, c] = reply;
  if (outcome === 'follow') return { outcome, leader: String(a), leaderPriority: Number(b), leaderJob: String(c) };
  if (outcome === 'exists') return { outcome, status: statusOf(a as string) };
  return { outcome: 'done' };
}
