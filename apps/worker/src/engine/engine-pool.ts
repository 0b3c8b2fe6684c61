/** The engines of a worker: gives each run a free one, and takes a failing batch apart until its culprit stands alone. */
import { availableParallelism } from 'node:os';
import type { Config } from '@millrace/shared/process/config';
import type { Logger } from 'pino';
import { EngineError, EngineStartError } from './engine-error.ts';
import { EngineSlot, LoadError } from './engine-slot.ts';
import { type Attempt, chunk, isolate } from './isolate.ts';
import type { LoadedVersion, RowResult } from './protocol/loaded-version.ts';

export interface RunOptions {
  signal?: AbortSignal;
  /** Of the runs that wait for an engine, the one with the lowest number goes first, then the oldest. 0 if absent. */
  priority?: number;
}

export interface EnginePool {
  /**
   * A result for each row (canonical JSON texts), in order. Rows beyond the version's maxBatch go in several calls. A
   * call that fails is halved until the poisonous rows stand alone; one past timeoutMs, or that ends its engine, is
   * run again row by row on a fresh engine, and a row alone that ended its engine once more before it is to blame.
   * Rejects only if no engine can be had, or `signal` is aborted: an abort kills the engine in mid-run.
   */
  run(version: LoadedVersion, rows: readonly string[], options?: RunOptions): Promise<RowResult[]>;
  /** Runs that can begin at once. */
  readonly free: number;
  readonly size: number;
  /** Resolves when `free` is above 0 and no run waits, or the pool is closed. */
  whenFree(): Promise<void>;
  /** Starts every engine and loads the version in each, ahead of its first run. */
  warm(version?: LoadedVersion): Promise<void>;
  /** Drops a version from every engine. */
  unload(key: string): Promise<void>;
  /** Takes no more runs; waits up to `deadlineMs` for those under way, then kills what is left. */
  close(deadlineMs: number): Promise<void>;
}

export interface PoolOptions {
  engines: number;
  /** Threads of one operator in each engine. */
  threads: number;
  /** Runs that an engine may hold: 1, or 2 to have the next one wait in its socket. */
  depth: number;
  recycleBytes: number;
  memoryLimitBytes: number;
  loadTimeoutMs: number;
  log: Logger;
}

const MIB = 1_048_576;

/** `cores` is what this process may use. One engine for every two cores unless set. */
export function poolOptions(config: Config, log: Logger, cores: number = availableParallelism()): PoolOptions {
  const engines = config.engines || Math.max(1, Math.floor(cores / 2));
  return {
    engines,
    threads: Math.max(1, Math.floor(cores / engines)),
    // Behind a single engine the next run may wait in its socket; of several, the first to be free is to have it.
    depth: engines === 1 ? 2 : 1,
    recycleBytes: config.engineMemoryMb * MIB,
    // A run may go beyond the mark at which the engine is replaced after it, but not without end.
    memoryLimitBytes: 2 * config.engineMemoryMb * MIB,
    loadTimeoutMs: config.loadTimeoutMs,
    log,
  };
}

/** Engines start at their first run, or with `warm`. */
export function createEnginePool(options: PoolOptions): EnginePool {
  return new Pool(options);
}

// An engine that ends because of another run is no fault of this one; that many in a row are the pool's.
const LOST_RETRIES = 20;
// The first load of a file, with limits, has shown that it can be loaded: what ended this one was most likely something
// else (the kernel short of memory, a signal, an engine full of other models).
const LOADS = 4;
// Likewise a row alone in its engine: on a fresh one it is run once more.
const DEATHS_ALONE = 2;
/** Behind a run that takes longer than this no other run waits in the engine's socket, where no urgent run can overtake. */
const SHORT_MS = 20;

interface Waiting {
  priority: number;
  wake(): void;
}

class Pool implements EnginePool {
  readonly #slots: EngineSlot[];
  readonly #options: PoolOptions;
  /** Runs that wait for an engine, in the order in which they get one. */
  readonly #queue: Waiting[] = [];
  /** How long the last run of a version took, ms, and which version each seat began last. */
  readonly #tookMs = new WeakMap<LoadedVersion, number>();
  readonly #begun = new Map<EngineSlot, LoadedVersion>();
  /** Those who only ask to be told. */
  readonly #watchers: (() => void)[] = [];
  /** Runs that were woken and have not begun. */
  #woken = 0;
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    const log = options.log;
    this.#slots = Array.from(
      { length: options.engines },
      (_, slot) =>
        new EngineSlot({
          ...options,
          onOutput: (line) => log.warn({ slot, line: line.slice(0, 1_000) }, 'engine output'),
          onEvent: (event, fields) => log.debug({ slot, ...fields }, `engine ${event}`),
        }),
    );
  }

  get free(): number {
    if (this.#closed) return 0;
    return this.#slots.reduce((sum, slot) => sum + this.#room(slot), 0);
  }

  #room(slot: EngineSlot): number {
    const last = this.#begun.get(slot);
    const long = last !== undefined && (this.#tookMs.get(last) ?? 0) > SHORT_MS;
    return Math.max(0, (long && slot.busy > 0 ? 1 : this.#options.depth) - slot.busy);
  }

  get size(): number {
    return this.#slots.length;
  }

  async whenFree(): Promise<void> {
    while (this.free === 0 && !this.#closed) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  async warm(version?: LoadedVersion): Promise<void> {
    await Promise.all(this.#slots.map((slot) => (version === undefined ? slot.start() : slot.load(version))));
  }

  async unload(key: string): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.unload(key)));
  }

  run(version: LoadedVersion, rows: readonly string[], options: RunOptions = {}): Promise<RowResult[]> {
    const run = this.#runWhenFree(version, rows, options);
    const settled = run.then(
      () => {},
      () => {},
    );
    this.#running.add(settled);
    void settled.then(() => this.#running.delete(settled));
    return run;
  }

  async close(deadlineMs: number): Promise<void> {
    this.#closed = true;
    // What has not begun is refused at once.
    while (this.#queue.length > 0) this.#wakeNext();
    for (const wake of this.#watchers.splice(0)) wake();
    const late = new Promise<void>((resolve) => setTimeout(resolve, deadlineMs).unref());
    await Promise.race([Promise.all(this.#running), late]);
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }

  async #runWhenFree(
    version: LoadedVersion,
    rows: readonly string[],
    { signal, priority = 0 }: RunOptions,
  ): Promise<RowResult[]> {
    // A place that a run was woken for is no longer free, though that run has not begun yet.
    while (this.free <= this.#woken) {
      if (this.#closed) throw new Error('the engines are closed');
      await new Promise<void>((wake) => this.#wait({ priority, wake }));
      this.#woken -= 1;
      if (this.free > 0) break;
    }
    const slot = this.#choose(version);
    slot.busy++;
    this.#begun.set(slot, version);
    const abort = () => slot.kill('the run was aborted');
    signal?.addEventListener('abort', abort, { once: true });
    try {
      signal?.throwIfAborted();
      const results: RowResult[] = [];
      for (const part of chunk(rows, version.maxBatch))
        results.push(...(await isolate(part, (some) => this.#attempt(slot, version, some, signal))));
      return results;
    } finally {
      signal?.removeEventListener('abort', abort);
      slot.busy--;
      while (this.#queue.length > 0 && this.free > this.#woken) this.#wakeNext();
      if (this.#queue.length === 0) for (const wake of this.#watchers.splice(0)) wake();
    }
  }

  #wakeNext(): void {
    this.#woken += 1;
    this.#queue.shift()?.wake();
  }

  #wait(one: Waiting): void {
    let at = this.#queue.length;
    while (at > 0 && one.priority < (this.#queue[at - 1] as Waiting).priority) at -= 1;
    this.#queue.splice(at, 0, one);
  }

  /** Of the engines with room the least busy one; of equals one that has the version. */
  #choose(version: LoadedVersion): EngineSlot {
    const cost = (slot: EngineSlot) => 2 * slot.busy + (slot.has(version) ? 0 : 1) + (this.#room(slot) > 0 ? 0 : 100);
    return this.#slots.reduce((best, slot) => (cost(slot) < cost(best) ? slot : best));
  }

  async #attempt(
    slot: EngineSlot,
    version: LoadedVersion,
    rows: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<Attempt> {
    let lost = 0;
    let loads = 0;
    let deaths = 0;
    for (;;) {
      signal?.throwIfAborted();
      try {
        const { outputs, inferenceMs } = await slot.run(version, rows);
        this.#tookMs.set(version, inferenceMs);
        if (outputs.length === rows.length) return { kind: 'done', outputs, inferenceMs };
        return { kind: 'failed', detail: `${outputs.length} outputs came of ${rows.length} rows` };
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        signal?.throwIfAborted();
        if (error instanceof EngineStartError && error.kind === 'failed') throw error;
        if (error.kind === 'lost') {
          lost += 1;
          if (this.#closed || lost > LOST_RETRIES) throw error;
          continue;
        }
        if (error instanceof LoadError) loads += error.kind === 'failed' ? LOADS : 1;
        else deaths += error.kind === 'died' && rows.length === 1 ? 1 : DEATHS_ALONE;
        if (!this.#closed && loads < LOADS && deaths < DEATHS_ALONE) continue;
        this.#options.log.debug({ model: version.model, rows: rows.length, kind: error.kind }, 'run failed');
        return attemptOf(error);
      }
    }
  }
}

function attemptOf(error: EngineError): Attempt {
  const detail = error.message;
  if (error instanceof LoadError) return { kind: 'hopeless', detail };
  if (error.kind === 'timeout') return { kind: 'fatal', code: 'inference_timeout', detail };
  if (error.kind === 'died') return { kind: 'fatal', code: 'inference_failed', detail };
  return { kind: 'failed', detail };
}
