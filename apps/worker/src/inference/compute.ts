/** Computes taken predictions: runs the rows without a result on the engines, and writes the results to the cache and the live state. */

import { problem } from '@millrace/shared/errors';
import { traceOfState } from '@millrace/shared/live/state';
import type { LiveStore, Taken } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { isSlot, type Row } from '@millrace/shared/predictions/task';
import { afterMicrotasks } from '@millrace/shared/process/turn';
import type { OutputSizes } from '@millrace/shared/queue/output-sizes';
import { untilWritable } from '@millrace/shared/redis/until-writable';
import { traceIdIn } from '@millrace/shared/tracing/trace-context';
import type { Tracing } from '@millrace/shared/tracing/tracing';
import type { Logger } from 'pino';
import type { EngineRun } from '../engine/engine-pool.ts';
import type { RowResult } from '../engine/protocol/loaded-version.ts';
import type { CacheWrites } from './cache-writes.ts';
import type { FetchedRows } from './fetched-rows.ts';
import { finishedOf } from './finished-prediction.ts';
import { namedItems } from './held-item.ts';
import type { HeldResults } from './held-results.ts';
import type { LedgerTasks } from './ledger-tasks.ts';
import { idsOfRows, type RowsDeps, runRows } from './run-rows.ts';
import { RunSpan, recordLostAttempt } from './run-span.ts';
import { type StoreDeps, storeAndCheck } from './store-results.ts';
import { rowName, type Target, type Unreadable, type Work, type Works, worksOf } from './work.ts';

export interface ComputeDeps extends RowsDeps, StoreDeps {
  live: LiveStore;
  fetchedRows: FetchedRows;
  ledgerTasks: LedgerTasks;
  sizes: OutputSizes;
  held: HeldResults;
  cacheWrites: CacheWrites;
  workerId: string;
  maxAttempts: number;
  /** Undefined where traces are switched off. */
  tracing: Tracing | undefined;
  log: Logger;
}

/** Results of rows that were begun ahead, before their predictions were taken, by the name of the row (work.ts). */
type Begun = ReadonlyMap<string, RowResult>;

interface ComputeParams {
  /** Held predictions (held-item.ts) of any jobs. */
  items: readonly string[];
  /** Rows that are begun while the predictions are taken. */
  ahead: readonly Row[];
  /** Called when all rows have been computed, and their results take long to store. */
  onStoring(): void;
}

/** Redis takes milliseconds for this size of results. */
const LARGE_RESULTS_BYTES = 1_048_576;

/** Runs held predictions. Resolves to the number of rows computed, when each prediction is terminal or needs no run any more. */
export async function compute(deps: ComputeDeps, target: Target, params: ComputeParams): Promise<number> {
  const { items, ahead, onStoring } = params;
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
  // The rows are written to the engine first, because the run takes longer than the round trip to Redis.
  if (beginning) await new Promise<void>(afterMicrotasks);
  const taken = await untilWritable(() =>
    live.take(target.shard, ids, { worker: workerId, maxAttempts, nowMs: startedAt, jobs }),
  );
  const results = (await beginning) ?? [];
  if (taken.length === 0) return begins ? ahead.length : 0;
  const given = readWorks(deps, taken, begins);
  const { works, unreadable } = given instanceof Promise ? await given : given;
  const begun = begunOf(ahead, results, works);
  try {
    for (const one of unreadable) await giveUp(deps, target, one);
    return await runCounted(deps, target, { works, begun, startedAt, aheadRuns, onStoring });
  } finally {
    deps.fetchedRows.release(works);
  }
}

/** Reads the inputs that are not in the live states: from the ledger, and from the cache Redis. */
function readWorks(deps: ComputeDeps, taken: readonly Taken[], begins: boolean): Works | Promise<Works> {
  const { ledgerTasks, fetchedRows } = deps;
  const reading = ledgerTasks.read(taken);
  if (reading === undefined) return fetchedRows.fetch(worksOf(taken, begins));
  return reading.then(async ({ tasks, unreadable: unread }) => {
    const without = new Set(unread.map((one) => one.taken));
    const rest = taken.filter((one) => !without.has(one));
    const { works, unreadable } = await fetchedRows.fetch(worksOf(rest, begins, tasks));
    return { works, unreadable: [...unreadable, ...unread] };
  });
}

/** Discards the live state of a prediction without a readable task, or fails the prediction. */
async function giveUp(deps: ComputeDeps, target: Target, { taken, reason, error }: Unreadable): Promise<void> {
  if (reason !== undefined) deps.log.error({ ...namesOfLine(taken), model: target.version.model }, reason);
  const { id, attempt } = taken;
  if (error === undefined) await deps.live.discard(id, attempt);
  else await deps.live.failAlone(id, { attempt, error, nowMs: sharedNow() });
}

interface FailedRun {
  taken: Taken;
  /** JSON text of a problem. */
  error: string;
  startedAt: number;
}

/** Ends a prediction that cannot be run. */
async function failTaken(deps: ComputeDeps, { shard }: Target, { taken, error, startedAt }: FailedRun): Promise<void> {
  const { id, attempt } = taken;
  const failed = { id, attempt, status: 'failed', result: error, startedAt, batchedAt: startedAt } as const;
  const by = { worker: deps.workerId, nowMs: sharedNow() };
  await deps.live.finish(shard, [{ ...failed, inferenceMs: 0, batchSize: 0 }], by);
}

/** Their outputs will need room in Redis, where running predictions do not count as waiting any more. */
async function runCounted(deps: ComputeDeps, target: Target, params: Run): Promise<number> {
  const { model } = target.version;
  deps.sizes.running(model, params.works.length);
  try {
    return await runWorks(deps, target, params);
  } finally {
    deps.sizes.running(model, -params.works.length);
  }
}

/** The results by the names in the tasks. A job names a row in a slot by the slot, and the task by its cache key. */
function begunOf(ahead: readonly Row[], results: readonly RowResult[], works: readonly Work[]): Begun {
  const begun = new Map<string, RowResult>();
  const inSlots = new Map<string, RowResult>();
  for (const [at, result] of results.entries()) {
    const row = ahead[at] ?? '';
    if (isSlot(row)) inSlots.set(row.slot, result);
    else begun.set(rowName(row, null) ?? '', result);
  }
  if (inSlots.size === 0) return begun;
  for (const { task, names } of works)
    for (const [at, row] of task.rows.entries()) {
      const result = isSlot(row) ? inSlots.get(row.slot) : undefined;
      if (result) begun.set(names[at] ?? '', result);
    }
  return begun;
}

/** Runs the predictions together, and alone each prediction that was running when a worker died: it can be the cause of the death. */
async function runWorks(deps: ComputeDeps, target: Target, params: Run): Promise<number> {
  const together = params.works.filter(({ taken: { lost } }) => lost === 0);
  // Predictions that run alone need an engine after the first results are stored.
  const onStoring = together.length === params.works.length ? params.onStoring : undefined;
  let rows = together.length > 0 ? await runOrFail(deps, target, { ...params, works: together, onStoring }) : 0;
  for (const work of params.works)
    if (work.taken.lost > 0) {
      traceLost(deps, target, work);
      rows += await runOrFail(deps, target, { works: [work], begun: new Map(), startedAt: sharedNow() });
    }
  return rows;
}

interface Run {
  works: readonly Work[];
  begun: Begun;
  startedAt: number;
  /** The calls of engines that were begun ahead. */
  aheadRuns?: readonly EngineRun[];
  onStoring?: (() => void) | undefined;
}

/**
 * Calls `run`. A prediction fails when its data make the code of the worker throw, for example an output longer than the longest
 * string. Handing the job back would repeat the run forever, because a live worker counts no attempt.
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
    await failTaken(deps, target, { taken, error: result, startedAt });
    return 0;
  }
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
  { works, begun, startedAt, onStoring, span }: Run & { span?: RunSpan | undefined },
): Promise<number> {
  // A deterministic model runs equal rows of different predictions once.
  const shares = target.version.config.deterministic === true;
  const rows: Row[] = [];
  const names: string[] = [];
  const places = new Map<string, number>();
  for (const work of works) {
    const given = work.task.rows;
    for (let at = 0; at < given.length; at += 1) {
      const name = work.names[at] ?? '';
      if (work.results[at] !== undefined || (shares && places.has(name))) continue;
      places.set(name, rows.length);
      rows.push(given[at] as Row);
      names.push(name);
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
    // An index costs no object for each row, as `entries` does.
    for (let at = 0; at < ofTask.length; at += 1)
      results[at] ??= computed[shares ? (places.get(ofTask[at] as string) as number) : own++];
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
    deps.metrics.stores.timed(
      'queue',
      'finish',
      deps.live.finish(target.shard, finished, { worker: deps.workerId, nowMs: now }),
    ),
  );
  if (outputs > 0)
    deps.cacheWrites.start({ results: outputs, bytes }, () => storeAndCheck(deps, target, { storing, finishing }));
  if (bytes >= LARGE_RESULTS_BYTES) onStoring?.();
  const verdicts = await finishing;
  span?.end(finished, now);
  deps.metrics.finished(target.version, finished, verdicts);
  const fenced = verdicts.filter((verdict) => verdict === 'fenced').length;
  if (fenced > 0) deps.log.warn({ model: target.version.model, fenced }, 'stale results were refused');
  return rows.length;
}
