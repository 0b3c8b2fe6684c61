/** Computes taken predictions: runs the rows without a known result on the engines, and writes the results to the cache and the live state. */

import type { PutParams, ResultCache } from '@millrace/shared/cache/result-cache';
import { encodeResult } from '@millrace/shared/cache/result-value';
import { problem } from '@millrace/shared/errors';
import { priorityOf } from '@millrace/shared/ledger/terminal-row';
import { traceOfState, waitingOf } from '@millrace/shared/live/state';
import type { Finished, LiveStore, Taken } from '@millrace/shared/live/store';
import { mayShareResults } from '@millrace/shared/model-files/model-config';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Text } from '@millrace/shared/predictions/long-text';
import { assembleOutput } from '@millrace/shared/predictions/output';
import { renderPrediction } from '@millrace/shared/predictions/prediction';
import { factsOf, readOptions } from '@millrace/shared/predictions/request-options';
import { type RowError, resultWithErrors } from '@millrace/shared/predictions/row-errors';
import { hasSlot } from '@millrace/shared/predictions/slots';
import { isSlot, type Row, readTask, type Task } from '@millrace/shared/predictions/task';
import type { OutputSizes } from '@millrace/shared/queue/output-sizes';
import { untilWritable } from '@millrace/shared/redis/until-writable';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { DEFAULT_TENANT } from '@millrace/shared/tenants/default-tenant';
import { traceIdIn } from '@millrace/shared/tracing/trace-context';
import type { Tracing } from '@millrace/shared/tracing/tracing';
import type { Logger } from 'pino';
import type { EnginePool, EngineRun } from '../engine/engine-pool.ts';
import type { LoadedVersion, RowResult } from '../engine/protocol/loaded-version.ts';
import type { WorkerMetrics } from '../operations/metrics.ts';
import type { CacheWrites } from './cache-writes.ts';
import { namedItems } from './held-item.ts';
import type { HeldResults } from './held-results.ts';
import { RunSpan, recordLostAttempt } from './run-span.ts';

export interface ComputeDeps {
  live: LiveStore;
  cache: ResultCache;
  pool: EnginePool;
  sizes: OutputSizes;
  held: HeldResults;
  cacheWrites: CacheWrites;
  /** The public URL without a final slash, or ''; the prefix of links in stored predictions. */
  base: string;
  /** How long the ledger has a prediction at least. */
  retentionMs: number;
  workerId: string;
  maxAttempts: number;
  metrics: WorkerMetrics;
  /** Undefined where traces are switched off. */
  tracing: Tracing | undefined;
  log: Logger;
}

interface Work {
  taken: Taken;
  task: Task;
  /** The name of each row: rows with equal names are equal. */
  names: readonly string[];
  /** The result of each row, from the task or computed. */
  results: (RowResult | undefined)[];
}

export interface Target {
  version: ModelVersion;
  loaded: LoadedVersion;
  shard: number;
  /** BullMQ's number. The run with the lowest number gets the next free engine. */
  priority: number;
}

/** Results of rows that were begun ahead, before their predictions were taken, by the name of the row. */
type Begun = ReadonlyMap<string, RowResult>;

/**
 * Runs held predictions (held-item.ts) of any jobs. Resolves to the number of rows computed, when each prediction is
 * terminal or needs no run any more. The rows of `ahead` are begun with while the predictions are taken.
 */
export async function compute(
  deps: ComputeDeps,
  target: Target,
  items: readonly string[],
  ahead: readonly Row[],
): Promise<number> {
  const { live, workerId, maxAttempts } = deps;
  // The wait comes before the take: no attempt is counted, and clients can cancel meanwhile.
  const room = deps.held.room();
  if (room) await room;
  const startedAt = sharedNow();
  const { ids, jobs } = namedItems(items);
  const begins = ahead.length > 0 && target.version.config.deterministic === true;
  const aheadRuns: EngineRun[] = [];
  const onRun = deps.tracing && ((run: EngineRun) => void aheadRuns.push(run));
  const beginning = begins ? runRows(deps, target, { rows: ahead, onRun, idsOf: () => ids }) : undefined;
  // When the take fails, nothing reads the result of the rows that were begun ahead.
  beginning?.catch(() => {});
  const taken = await untilWritable(() => live.take(target.shard, ids, workerId, maxAttempts, startedAt, jobs));
  const results = (await beginning) ?? [];
  if (taken.length === 0) return begins ? ahead.length : 0;
  const begun: Begun = new Map(
    begins ? ahead.map((row, at) => [rowName(row, null) ?? '', results[at] as RowResult]) : [],
  );
  const works: Work[] = [];
  for (const one of taken) {
    const task = readTask(one.task);
    const isUnreachable = task !== undefined && !isReachable(task);
    if (task && !isUnreachable)
      works.push({ taken: one, task, names: namesOf(task, one.id), results: knownResults(task) });
    else {
      deps.log.error({ ...namesOfLine(one), model: target.version.model }, isUnreachable ? SLOT_GONE : UNREADABLE);
      await deps.live.discard(one.id, one.attempt);
    }
  }
  // Their outputs will need room in Redis, where they do not count as waiting any more.
  const { model } = target.version;
  deps.sizes.running(model, works.length);
  try {
    const together = works.filter(({ taken: { lost } }) => lost === 0);
    let rows =
      together.length > 0 ? await runOrFail(deps, target, { works: together, begun, startedAt, aheadRuns }) : 0;
    // A prediction that was running when a worker died can be the cause of the death. Such a prediction runs alone and can harm no other.
    for (const work of works)
      if (work.taken.lost > 0) {
        traceLost(deps, target, work);
        rows += await runOrFail(deps, target, { works: [work], begun: new Map(), startedAt: sharedNow() });
      }
    return rows;
  } finally {
    deps.sizes.running(model, -works.length);
  }
}

interface Run {
  works: readonly Work[];
  begun: Begun;
  startedAt: number;
  /** The calls of engines that were begun ahead. */
  aheadRuns?: readonly EngineRun[];
}

/**
 * Calls `run`. A prediction fails when its data make the code of the worker throw, for example an output longer than the longest
 * string. Handing the job back would repeat the run for ever, because a live worker counts no attempt.
 */
async function runOrFail(deps: ComputeDeps, target: Target, params: Run): Promise<number> {
  const { works, startedAt } = params;
  try {
    return await runTraced(deps, target, params);
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError || error instanceof SyntaxError)) throw error;
    let rows = 0;
    if (works.length > 1) {
      for (const work of works)
        rows += await runOrFail(deps, target, { works: [work], begun: new Map(), startedAt: sharedNow() });
      return rows;
    }
    const [{ taken }] = works as [Work];
    const { model } = target.version;
    deps.log.error(
      { err: error, ...namesOfLine(taken), model },
      'the result of a prediction cannot be handled: the prediction fails',
    );
    const result = JSON.stringify(problem('inference_failed', `The result cannot be handled: ${error.message}.`));
    const failed = { id: taken.id, attempt: taken.attempt, status: 'failed', result, startedAt } as const;
    await deps.live.finish(
      target.shard,
      [{ ...failed, batchedAt: startedAt, inferenceMs: 0, batchSize: 0 }],
      deps.workerId,
      sharedNow(),
    );
    return 0;
  }
}

// The ledger, or the API whose caller waits, still has a prediction whose live state is discarded.
const UNREADABLE = 'the task of a prediction cannot be read in Redis: its live state is discarded';
const SLOT_GONE = 'the shared memory with the input of a prediction is out of reach: its live state is discarded';

/** Whether this worker can read all slots of a task. The slots of another machine, and of an API that was killed, are out of reach. */
const isReachable = ({ rows }: Task): boolean => rows.every((row) => !isSlot(row) || hasSlot(row));

/** A longer row of bytes, and a slot, are named by their cache key. */
const NAMED_BYTES = 1_024;

/** Undefined for a long row of bytes without a key: no other row counts as equal. */
function rowName(row: Row, key: string | null): string | undefined {
  if (typeof row === 'string') return row;
  return isSlot(row) || row.length > NAMED_BYTES ? (key ?? undefined) : row.toString('latin1');
}

const namesOf = ({ rows, keys }: Task, id: string): string[] =>
  rows.map((row, at) => rowName(row, keys[at] ?? null) ?? `${id} ${at}`);

function knownResults(task: Task): (RowResult | undefined)[] {
  if (!task.known) return new Array(task.rows.length);
  return task.known.map((output) => (output === null ? undefined : { ok: true, output, inferenceMs: 0, batchSize: 0 }));
}

/** Calls `run` inside a span, where the trace of a prediction is recorded. */
async function runTraced(deps: ComputeDeps, target: Target, params: Run): Promise<number> {
  const { tracing } = deps;
  if (tracing === undefined) return run(deps, target, params);
  const { works, startedAt, aheadRuns = [] } = params;
  const taken = works.map((work) => work.taken);
  const span = RunSpan.start({ tracing, target: spanTarget(deps, target), taken, startedAt });
  for (const one of aheadRuns) span?.ran(one);
  try {
    return await run(deps, target, { ...params, span });
  } catch (error) {
    span?.fail(error);
    throw error;
  }
}

const spanTarget = ({ workerId }: ComputeDeps, { version, shard }: Target) => ({ version, shard, workerId });

/** In the background: the run does not wait for the look-up of the lost worker. */
function traceLost({ tracing, live, workerId }: ComputeDeps, { version, shard }: Target, { taken }: Work): void {
  if (tracing === undefined) return;
  recordLostAttempt({ tracing, live, target: { version, shard, workerId }, taken }).catch(() => {});
}

/** The names in a line about one prediction. */
const namesOfLine = ({ id, state }: Taken) => {
  const trace = traceOfState(state);
  return { id, ...(trace === undefined ? {} : { trace_id: traceIdIn(trace) }) };
};

async function run(
  deps: ComputeDeps,
  target: Target,
  { works, begun, startedAt, span }: Run & { span?: RunSpan | undefined },
): Promise<number> {
  // A deterministic model runs equal rows of different predictions once.
  const shares = target.version.config.deterministic === true;
  const rows: Row[] = [];
  const names: string[] = [];
  const places = new Map<string, number>();
  for (const work of works) {
    for (const [at, row] of work.task.rows.entries()) {
      const name = work.names[at] ?? '';
      if (work.results[at] === undefined && !(shares && places.has(name))) {
        places.set(name, rows.length);
        rows.push(row);
        names.push(name);
      }
    }
  }
  if (rows.length > 0) deps.metrics.computed(target.version.model, rows.length);
  const batchedAt = sharedNow();
  const left = begun.size === 0 ? rows : rows.filter((_, at) => !begun.has(names[at] ?? ''));
  const onRun = span && ((one: EngineRun) => span.ran(one));
  const ran = left.length === 0 ? [] : await runRows(deps, target, { rows: left, onRun, idsOf: idsOfRows(works) });
  let next = 0;
  const computed = begun.size === 0 ? ran : names.map((name) => begun.get(name) ?? (ran[next++] as RowResult));
  let own = 0;
  for (const { names: ofTask, results } of works) {
    for (const [at, name] of ofTask.entries()) results[at] ??= computed[shares ? (places.get(name) as number) : own++];
  }
  const finished = works.map((work) => finishedOf(work, { startedAt, batchedAt }));
  let [outputs, bytes] = [0, 0];
  for (const { status, result } of finished) {
    if (status !== 'succeeded') continue;
    outputs += 1;
    // JSON is nearly always ASCII, so a character counts as a byte.
    bytes += result.length;
  }
  deps.sizes.measured(target.version.model, outputs, bytes);
  const now = sharedNow();
  const storing = { works, finished, places, now };
  // Both are sent in this turn. Nothing waits for the cache: the run ends with the live states.
  const finishing = deps.held.during(bytes, () =>
    deps.metrics.stores.timed('queue', 'finish', deps.live.finish(target.shard, finished, deps.workerId, now)),
  );
  if (outputs > 0)
    deps.cacheWrites.start({ results: outputs, bytes }, () => storeAndCheck(deps, target, { storing, finishing }));
  const verdicts = await finishing;
  span?.end(finished, now);
  deps.metrics.finished(target.version, finished, verdicts);
  const fenced = verdicts.filter((verdict) => verdict === 'fenced').length;
  if (fenced > 0) deps.log.warn({ model: target.version.model, fenced }, 'stale results were refused');
  return rows.length;
}

interface RowsRun {
  rows: readonly Row[];
  onRun: ((run: EngineRun) => void) | undefined;
  idsOf?: (rows: readonly Row[]) => readonly string[];
}

/** Finds the predictions of rows, only after the end of an engine. */
const idsOfRows =
  (works: readonly Work[]) =>
  (rows: readonly Row[]): readonly string[] =>
    works.filter(({ task }) => task.rows.some((row) => rows.includes(row))).map(({ taken }) => taken.id);

/**
 * Splits the rows into engine batches, so that several engines share a large prediction. Only as many batches wait for an engine as keep
 * all engines busy, so that other runs alternate with them.
 */
async function runRows(
  { pool, metrics }: ComputeDeps,
  { loaded, priority }: Target,
  { rows, onRun, idsOf }: RowsRun,
): Promise<RowResult[]> {
  const options = { priority, ...(onRun && { onRun }), ...(idsOf && { idsOf }) };
  const { model, maxBatch } = loaded;
  if (rows.length <= maxBatch) {
    metrics.engines.filled(model, rows.length, maxBatch);
    return pool.run(loaded, rows, options);
  }
  const parts: RowResult[][] = [];
  let next = 0;
  const runParts = async (): Promise<void> => {
    for (let at = next; at < rows.length; at = next) {
      next = at + maxBatch;
      metrics.engines.filled(model, Math.min(maxBatch, rows.length - at), maxBatch);
      parts[at / maxBatch] = await pool.run(loaded, rows.slice(at, next), options);
    }
  };
  await Promise.all(Array.from({ length: pool.size + 1 }, runParts));
  return parts.flat();
}

function finishedOf(
  { taken, task, results }: Work,
  { startedAt, batchedAt }: Pick<Finished, 'startedAt' | 'batchedAt'>,
): Finished {
  let inferenceMs = 0;
  let batchSize = 0;
  const outputs: Text[] = [];
  const invalid = task.invalid ?? [];
  const errors: RowError[] = [];
  // At least one row must have an output: otherwise the prediction fails, and a client can retry the prediction.
  const keeps = task.onError === 'row' && results.filter((result) => result?.ok).length > invalid.length;
  for (const [at, result] of results.entries()) {
    if (!result?.ok) {
      const { code, detail } = result ?? { code: 'inference_failed' as const, detail: 'The row was not run.' };
      const pointer = task.shape === 'list' ? `/inputs/${at}` : '/input';
      const error = problem(code, detail, { errors: [{ in: 'body', pointer, message: detail }] });
      if (keeps) {
        errors.push({ row: at, error });
        outputs.push('null');
        continue;
      }
      return {
        id: taken.id,
        attempt: taken.attempt,
        status: 'failed',
        result: JSON.stringify(error),
        startedAt,
        batchedAt,
        inferenceMs,
        batchSize,
      };
    }
    outputs.push(result.output);
    // The live state has thousandths.
    inferenceMs = Math.max(inferenceMs, Math.round(result.inferenceMs * 1000) / 1000);
    batchSize = Math.max(batchSize, result.batchSize);
  }
  const output = assembleOutput(task.shape, outputs);
  const result = keeps ? resultWithErrors(output, [...invalid, ...errors]) : output;
  const { id, attempt, state } = taken;
  return { id, attempt, state, status: 'succeeded', result, startedAt, batchedAt, inferenceMs, batchSize };
}

interface Storing {
  works: readonly Work[];
  finished: readonly Finished[];
  places: ReadonlyMap<string, number>;
  now: number;
}

/** The put that replaces a stored prediction with its output. */
interface BodyPut {
  /** The index of the prediction. */
  n: number;
  put: PutParams;
}

/** Stores the results, and takes the predictions back whose ends the live states refused. Never rejects. */
async function storeAndCheck(
  deps: ComputeDeps,
  target: Target,
  { storing, finishing }: { storing: Storing; finishing: Promise<readonly string[]> },
): Promise<void> {
  const puts = await store(deps, target, storing);
  const verdicts = await finishing.catch(() => []);
  await withdrawBodies(deps, { puts, verdicts });
}

/** Writes successful rows to the cache. A failed write only costs a later computation. */
async function store(
  { cache, base, retentionMs }: ComputeDeps,
  { version }: Target,
  { works, finished, places, now }: Storing,
): Promise<BodyPut[]> {
  // An API process with old settings can have submitted the prediction of a model that is not deterministic.
  if (!mayShareResults(version.config)) return [];
  const puts: Promise<void>[] = [];
  const bodyPuts: BodyPut[] = [];
  const stored = new Set<string>();
  for (const [n, { taken, task, names, results }] of works.entries()) {
    for (const [at, key] of task.keys.entries()) {
      const result = results[at];
      if (key === null || !result?.ok || stored.has(key) || !places.has(names[at] ?? '')) continue;
      stored.add(key);
      // The lifetime varies by up to a tenth, so that results that were stored together do not expire together.
      // The ledger has the prediction of a hit for at least as long as the cache.
      const keptMs = Math.max(1, taken.createdAt + retentionMs - now);
      const ttlMs = Math.min(version.config.cache.ttlS * 1000 * (0.9 + 0.1 * Math.random()), keptMs);
      const whole = task.shape === 'one' && task.rows.length === 1 && maySee(version, taken);
      const body = whole ? bodyOf({ version, base, taken, finished: finished[n] as Finished, now }) : null;
      const params = { cacheKey: key, storedAt: now, freshUntil: now + ttlMs, output: result.output };
      const place = { cacheKey: key, epoch: task.epoch, ttlMs };
      puts.push(cache.put({ ...place, value: encodeResult({ ...params, body }) }));
      if (body !== null) bodyPuts.push({ n, put: { ...place, value: encodeResult({ ...params, body: null }) } });
    }
  }
  await Promise.all(puts);
  return bodyPuts;
}

/** Whether callers who share the result may see the whole prediction, and not the output alone. */
const maySee = ({ config }: ModelVersion, { tenant }: Taken): boolean =>
  config.cache.scope !== 'public' || tenant === DEFAULT_TENANT;

/**
 * Takes the predictions back whose ends Redis refused, because the predictions were canceled or another attempt runs: a hit must
 * not show an end that a GET of the same id does not show. The outputs stay in the cache.
 */
async function withdrawBodies(
  { cache }: ComputeDeps,
  { puts, verdicts }: { puts: readonly BodyPut[]; verdicts: readonly string[] },
): Promise<void> {
  const refused = puts.filter(({ n }) => verdicts[n] !== 'written');
  await Promise.all(refused.map(({ put }) => cache.put(put)));
}

interface BodyParams {
  version: ModelVersion;
  base: string;
  taken: Taken;
  finished: Finished;
  now: number;
}

/**
 * The body of a cache hit: the JSON that a GET of the prediction returns. Null for a prediction with metadata or a webhook, which
 * belong to its caller, and for a prediction that was canceled before it was taken.
 */
function bodyOf({ version, base, taken, finished, now }: BodyParams): Text | null {
  const waiting = waitingOf(taken.state);
  if (waiting === undefined || waiting.metadata !== '') return null;
  const options = readOptions(waiting.options);
  if (options.webhook) return null;
  // The deadline has passed: the prediction expires.
  if (waiting.expiresAt !== null && waiting.expiresAt <= now) return null;
  return renderPrediction(
    {
      id: taken.id,
      model: version.model,
      version: version.version,
      digest: waiting.digest,
      priority: priorityOf(waiting.priority),
      webhook: null,
      ...factsOf(options),
      status: 'succeeded',
      result: finished.result,
      createdAt: taken.createdAt,
      startedAt: finished.startedAt,
      completedAt: now,
      expiresAt: waiting.expiresAt,
      attempts: taken.attempt,
      metadata: '',
      inferenceMs: finished.inferenceMs,
      batchSize: finished.batchSize,
    },
    base,
  );
}
