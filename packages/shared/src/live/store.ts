/**
 * The live state of predictions on the queue Redis. Each transition is one script (see the .lua files beside this one),
 * so that it happens whole or not at all, and no two processes ever see it half done.
 */
import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';
import { problem } from '../errors.ts';
import { shardOf, shardOfId } from '../ids.ts';
import { flightName, type Keys, packDigest, unpackDigest } from '../keys.ts';
import { BULL_PRIORITY, isTerminal, type PredictionRecord, type Priority, type Status } from '../prediction.ts';

/** Results up to this many bytes travel in the completion event itself; larger ones are read from the live state. */
const INLINE_BYTES = 4_096;
/** A prediction waits no longer than its deadline, which is at most a week. */
const WAITING_TTL_MS = 8 * 86_400_000;
/** The recorder shortens this once the ledger has it. */
const TERMINAL_TTL_MS = 86_400_000;
/** How long a finished flight still answers: a request that missed the cache just before must not compute again. */
const FLIGHT_LINGERS_MS = 5_000;

const EXPIRED = JSON.stringify(problem('expired', 'It was not answered before its deadline.'));
const LOST = JSON.stringify(problem('worker_lost', 'Each of its executions ended with its worker.'));
const CANCELED = JSON.stringify(problem('canceled', 'It was canceled on request.'));

/** A prediction about to enter the queue. */
export interface NewPrediction {
  id: string;
  createdAt: number;
  expiresAt: number | null;
  tenant: string;
  /** JSON text; '' for none. */
  metadata: string;
  /** JSON text of what else was asked (webhook, idempotency); '' for none. */
  options: string;
  /** Cache key (hex) under which identical questions share this computation; null to share with none. */
  flight: string | null;
  /** JSON text of the Task. */
  task: string;
  /** Attempts it has had already, where the reconciler brings it back. */
  attempts: number;
  /** JSON text of its output where that is known: it is then terminal at once, and recorded like any other. */
  known: string | null;
}

export type Submitted =
  | { outcome: 'lead'; number: number }
  | { outcome: 'follow'; leader: string; leaderPriority: number; leaderJob: string }
  /** The same question was answered a moment ago; this one is terminal already. */
  | { outcome: 'done' }
  /** It is known already: a repeated submission that had in fact worked. */
  | { outcome: 'exists'; status: Status };

export interface Taken {
  id: string;
  /** Fences the results: give it back with them. */
  attempt: number;
  createdAt: number;
  tenant: string;
  /** Executions before this one that ended with their worker. */
  lost: number;
  /** JSON text of the Task. */
  task: string;
}

export interface Finished {
  id: string;
  attempt: number;
  status: 'succeeded' | 'failed';
  /** JSON text of the output or of the error (a problem). */
  result: string;
  startedAt: number;
  inferenceMs: number;
  batchSize: number;
}

/** A prediction as Redis knows it, with what its JSON does not show. */
export interface LivePrediction extends PredictionRecord {
  tenant: string;
  priority: number;
  options: string;
  leader: string | null;
  /** Number in its model's queue; null for a follower. */
  number: number | null;
  job: string;
  digest: string;
}

export interface QueueCounts {
  /** By BullMQ priority: how many predictions entered and left the queue. */
  entered: Record<number, number>;
  left: Record<number, number>;
}

type Script = (numberOfKeys: number, ...args: (string | number)[]) => Promise<unknown>;
type Scripted = (Redis | Cluster) &
  Record<'mrSubmit' | 'mrTake' | 'mrFinish' | 'mrEnd' | 'mrRetry' | 'mrAdopt' | 'mrShorten' | 'mrRead', Script>;

const source = (name: string) => readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');
const LIB = source('lib');
const SCRIPTS = {
  mrSubmit: source('submit'),
  mrTake: source('take'),
  mrRead: source('read'),
  mrFinish: source('finish'),
  mrEnd: source('end'),
  mrRetry: source('retry'),
  mrAdopt: source('adopt'),
  mrShorten: source('shorten'),
} as const;

const FIELDS = [
  's',
  'a',
  't',
  'x',
  'n',
  'm',
  'v',
  'p',
  'k',
  'o',
  'l',
  'q',
  'j',
  'st',
  'cm',
  'im',
  'bs',
  'r',
  'd',
] as const;

/** Between the values of a reply: see read.lua. */
const SEPARATOR = '\x1f';

const numberOrNull = (text: string | null | undefined): number | null => (text ? Number(text) : null);

export class LiveStore {
  readonly #redis: Scripted;
  readonly #keys: Keys;

  constructor(redis: Redis | Cluster, keys: Keys) {
    for (const [name, lua] of Object.entries(SCRIPTS)) redis.defineCommand(name, { lua: `${LIB}\n${lua}` });
    this.#redis = redis as Scripted;
    this.#keys = keys;
  }

  #tag(shard: number): string {
    return this.#keys.tag(shard);
  }

  #jobs(shard: number, model: string): string {
    return `${this.#keys.bull(shard)}:${model}:`;
  }

  /** Writes new predictions of one model version and priority, which `job` (still to be added) is to carry. */
  async submit(
    { model, version, digest }: { model: string; version: string; digest: string },
    priority: Priority,
    job: string,
    items: readonly NewPrediction[],
    nowMs: number,
  ): Promise<{ items: Submitted[]; counts: QueueCounts }> {
    const shard = shardOf(model);
    const args: (string | number)[] = items.map((item) => this.#keys.live(item.id));
    args.push(nowMs, this.#tag(shard), model, version, BULL_PRIORITY[priority], job, this.#jobs(shard, model));
    args.push(WAITING_TTL_MS, TERMINAL_TTL_MS, INLINE_BYTES, packDigest(digest));
    for (const item of items) {
      args.push(item.id, item.createdAt, item.expiresAt ?? '', item.tenant, item.metadata, item.options);
      args.push(item.flight === null ? '' : flightName(item.flight), item.task, item.attempts, item.known ?? '');
    }
    const rows = (await this.#redis.mrSubmit(items.length, ...args)) as [string, ...(string | number)[]][];
    const counted = rows.pop() as unknown as (string | null)[];
    return { items: rows.map(submitted), counts: queueCounts(counted.map(Number)) };
  }

  /** Marks predictions running for `worker` and gives their tasks; leaves out what need not be computed. */
  async take(
    shard: number,
    ids: readonly string[],
    worker: string,
    maxAttempts: number,
    nowMs: number,
  ): Promise<Taken[]> {
    const rows = (await this.#redis.mrTake(
      ids.length,
      ...ids.map((id) => this.#keys.live(id)),
      nowMs,
      this.#tag(shard),
      worker,
      maxAttempts,
      TERMINAL_TTL_MS,
      INLINE_BYTES,
      LOST,
      EXPIRED,
      ...ids,
    )) as string[];
    const taken: Taken[] = [];
    rows.forEach((text, at) => {
      if (text === '') return;
      const [attempt, createdAt, lost, tenant = '', task = ''] = text.split(SEPARATOR);
      const id = ids[at] as string;
      taken.push({ id, attempt: Number(attempt), createdAt: Number(createdAt), tenant, lost: Number(lost), task });
    });
    return taken;
  }

  /** Writes results; gives for each whether it was `written`, came for a `cancelled` one, or was `fenced`. */
  async finish(
    shard: number,
    items: readonly Finished[],
    nowMs: number,
  ): Promise<('written' | 'cancelled' | 'fenced')[]> {
    const args: (string | number)[] = items.map((item) => this.#keys.live(item.id));
    args.push(nowMs, this.#tag(shard), TERMINAL_TTL_MS, INLINE_BYTES, FLIGHT_LINGERS_MS, EXPIRED);
    for (const item of items) {
      args.push(item.id, item.attempt, item.status, item.result, item.startedAt);
      args.push(item.inferenceMs.toFixed(3), item.batchSize);
    }
    const codes = (await this.#redis.mrFinish(items.length, ...args)) as number[];
    return codes.map((code) => (code === 1 ? 'written' : code === 2 ? 'cancelled' : 'fenced'));
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
    const args = [nowMs, this.#tag(shard), id, status, result, TERMINAL_TTL_MS, INLINE_BYTES, tenant];
    const [outcome, detail] = (await this.#redis.mrEnd(1, this.#keys.live(id), ...args)) as [string, Status];
    if (outcome === 'ended') return { outcome, was: detail };
    if (outcome === 'terminal') return { outcome, status: detail };
    return { outcome: outcome === 'early' ? 'early' : 'gone' };
  }

  /** Opens an ended prediction again. On `queued` the caller adds `job`; `gone`: Redis has forgotten it. */
  async retry(
    id: string,
    tenant: string,
    job: string,
    expiresAt: number | null,
    nowMs: number,
  ): Promise<{ outcome: 'queued' | 'attached' | 'gone' } | { outcome: 'refused'; status: Status }> {
    const args = [nowMs, this.#tag(shardOfId(id)), id, job, expiresAt ?? '', WAITING_TTL_MS, tenant];
    const [outcome, status] = (await this.#redis.mrRetry(1, this.#keys.live(id), ...args)) as [string, Status];
    if (outcome === 'refused') return { outcome, status };
    return { outcome: outcome as 'queued' | 'attached' | 'gone' };
  }

  /** For the reconciler: gives a prediction a job of its own if nothing carries it. On `adopted` the caller adds `job`. */
  async adopt(
    id: string,
    model: string,
    job: string,
    nowMs: number,
  ): Promise<{ outcome: 'gone' | 'terminal' | 'carried' } | { outcome: 'adopted'; priority: number }> {
    const shard = shardOfId(id);
    const args = [nowMs, this.#tag(shard), id, job, this.#jobs(shard, model), WAITING_TTL_MS];
    const [outcome, priority] = (await this.#redis.mrAdopt(1, this.#keys.live(id), ...args)) as [string, string];
    if (outcome === 'adopted') return { outcome, priority: Number(priority) };
    return { outcome: outcome as 'gone' | 'terminal' | 'carried' };
  }

  /** Null when Redis does not know it. */
  async read(id: string): Promise<LivePrediction | null> {
    const row = await this.#redis.hmget(this.#keys.live(id), ...FIELDS);
    return livePrediction(id, row);
  }

  /** Many at once, in one round trip for each shard; null for those that Redis does not know. */
  async readMany(ids: readonly string[]): Promise<(LivePrediction | null)[]> {
    const states = new Map<string, LivePrediction | null>();
    await Promise.all([...Map.groupBy(ids, shardOfId).values()].map((some) => this.#readShard(some, states)));
    return ids.map((id) => states.get(id) ?? null);
  }

  async #readShard(ids: readonly string[], into: Map<string, LivePrediction | null>): Promise<void> {
    const keys = ids.map((id) => this.#keys.live(id));
    const texts = (await this.#redis.mrRead(ids.length, ...keys, ...FIELDS)) as string[];
    for (const [at, id] of ids.entries()) {
      const row = (texts[at] ?? '').split(SEPARATOR);
      // A separator where none should be: no reason to guess.
      into.set(id, row.length === FIELDS.length ? livePrediction(id, row) : await this.read(id));
    }
  }

  /** JSON text of the Task, or null. */
  async task(id: string): Promise<string | null> {
    return this.#redis.get(this.#keys.task(id));
  }

  /** The ledger has these, all of one shard: Redis need not keep them for long. */
  async shorten(ids: readonly string[], ttlMs: number): Promise<void> {
    const [first] = ids;
    if (first === undefined) return;
    const liveKeys = ids.map((id) => this.#keys.live(id));
    await this.#redis.mrShorten(ids.length, ...liveKeys, this.#tag(shardOfId(first)), ttlMs, ...ids);
  }

  async counts(model: string): Promise<QueueCounts> {
    const row = await this.#redis.hmget(this.#keys.queueStats(shardOf(model), model), ...COUNTS);
    return queueCounts(row.map(Number));
  }
}

const COUNTS = ['s1', 't1', 's5', 't5', 's9', 't9'] as const;

function queueCounts(row: readonly number[]): QueueCounts {
  const [s1 = 0, t1 = 0, s5 = 0, t5 = 0, s9 = 0, t9 = 0] = row;
  return { entered: { 1: s1, 5: s5, 9: s9 }, left: { 1: t1, 5: t5, 9: t9 } };
}

function submitted([outcome, a, b, c]: [string, ...(string | number)[]]): Submitted {
  if (outcome === 'lead') return { outcome, number: Number(a) };
  if (outcome === 'follow') return { outcome, leader: String(a), leaderPriority: Number(b), leaderJob: String(c) };
  if (outcome === 'exists') return { outcome, status: a as Status };
  return { outcome: 'done' };
}

function livePrediction(id: string, row: readonly (string | null)[]): LivePrediction | null {
  const [s, a, t, x, n, m, v, p, k, o, l, q, j, st, cm, im, bs, r, d] = row;
  if (!s) return null;
  return {
    id,
    model: m ?? '',
    version: v ?? '',
    status: s as Status,
    result: r ?? '',
    createdAt: Number(t),
    startedAt: numberOrNull(st),
    completedAt: isTerminal(s) ? numberOrNull(cm) : null,
    expiresAt: numberOrNull(x),
    attempts: Number(a),
    metadata: k ?? '',
    inferenceMs: numberOrNull(im),
    batchSize: numberOrNull(bs),
    tenant: n || 'default',
    priority: Number(p),
    options: o ?? '',
    leader: l || null,
    number: numberOrNull(q),
    job: j ?? '',
    digest: unpackDigest(d ?? ''),
  };
}

/** What a completion event says of one prediction. */
export interface Completion {
  status: Status;
  attempts: number;
  startedAt: number | null;
  completedAt: number;
  inferenceMs: number | null;
  batchSize: number | null;
  /** JSON text of output or error; null when it was too large for the event: read the live state. */
  result: string | null;
}

/** Parses the value of an event's field, as lib.lua writes it. */
export function parseCompletion(value: string): Completion {
  const parts = value.split('|', 6);
  const at = parts.reduce((sum, part) => sum + part.length + 1, 0);
  const [status, attempts, startedAt, completedAt, inferenceMs, batchSize] = parts;
  return {
    status: status as Status,
    attempts: Number(attempts),
    startedAt: numberOrNull(startedAt),
    completedAt: Number(completedAt),
    inferenceMs: numberOrNull(inferenceMs),
    batchSize: numberOrNull(batchSize),
    result: value[at] === '+' ? value.slice(at + 1) : null,
  };
}
