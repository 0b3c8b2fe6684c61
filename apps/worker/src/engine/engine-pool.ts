/** The engines of a worker. Gives each run a free engine, and splits a failing batch until the failing rows are isolated. */
import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { handlerFailure } from '@millrace/shared/model-files/handler-fault';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Row } from '@millrace/shared/predictions/task';
import type { Config } from '@millrace/shared/process/config';
import { releaseMemory } from '@millrace/shared/process/release-memory';
import type { Logger } from 'pino';
import type { RunOutcome } from './engine.ts';
import { type EngineEnd, EngineError, type EngineErrorKind, EngineStartError } from './engine-error.ts';
import { type EngineEvent, EngineSlot, type IdsOf, LoadError, type Loaded, type SlotState } from './engine-slot.ts';
import { type Attempt, chunk, isolate } from './isolate.ts';
import type { LoadedVersion, RowResult } from './protocol/loaded-version.ts';
import { RowFailures } from './row-failures.ts';

export interface RunOptions {
  signal?: AbortSignal;
  /** The waiting run with the lowest number gets the next free engine. Equal numbers run in the order of their arrival. Default: 0. */
  priority?: number;
  /** Called after each call of an engine that returned outputs. */
  onRun?: (run: EngineRun) => void;
  /** Called with rows whose run ended the engine, for the line about the end. */
  idsOf?: IdsOf;
}

/** One call of an engine: the parts of its duration in ms, and its end on the clock of this process (Unix ms). */
export interface EngineRun extends Pick<RunOutcome, 'inferenceMs' | 'encodeMs' | 'decodeMs'> {
  endedAt: number;
  rows: number;
}

interface AttemptParams {
  slot: EngineSlot;
  version: LoadedVersion;
  signal: RunOptions['signal'] | undefined;
  onRun: RunOptions['onRun'] | undefined;
  idsOf: RunOptions['idsOf'] | undefined;
}

export interface EnginePool {
  /**
   * Returns a result for each row (canonical JSON texts, or bytes), in order. More rows than the maxBatch of the version run in several calls. A
   * failing call is halved until the failing rows are isolated. After a call that exceeds timeoutMs or ends its engine, every row runs
   * alone on a new engine. A row that ends its engine when it runs alone runs once more before it fails. Rejects only when no
   * engine can be started, or when `signal` is aborted. An abort kills the engine during the run.
   */
  run(version: LoadedVersion, rows: readonly Row[], options?: RunOptions): Promise<RowResult[]>;
  /** Number of runs that can start at once. */
  readonly free: number;
  readonly size: number;
  /** Number of engines that have started and have not ended. */
  readonly alive: number;
  /** The state of each engine. */
  describe(): Promise<SlotState[]>;
  /** The state of each slot. */
  readonly slots: readonly SlotGauges[];
  /** Duration of the last call of an engine with this version, in ms; 0 before the first call. */
  callMs(version: LoadedVersion): number;
  /** Resolves when `free` is above 0 and no run waits, or the pool is closed. */
  whenFree(): Promise<void>;
  /** Starts every engine and loads the version in each engine before the first run. */
  warm(version?: LoadedVersion): Promise<void>;
  /** Unloads a version from every engine. */
  unload(key: string): Promise<void>;
  /** Takes no more runs. Waits up to `deadlineMs` for active runs, then kills the engines. */
  close(deadlineMs: number): Promise<void>;
}

export interface PoolOptions {
  engines: number;
  /** Threads of one operator in each engine. */
  threads: number;
  /** Number of runs in an engine at once: 1, or 2 when the next run waits in the socket of the engine. */
  depth: number;
  recycleBytes: number;
  memoryLimitBytes: number;
  loadTimeoutMs: number;
  /** Time without a run after which an engine is ended, in milliseconds; 0 keeps all engines. */
  idleMs: number;
  /** An engine stays for at least this multiple of the duration of its start and its loads. */
  idlePerStart: number;
  log: Logger;
  observer?: EngineObserver;
}

/** How a call of an engine ended. `lost`: the engine ended for a reason outside the call, and the call is repeated. */
export type CallOutcome = 'done' | EngineErrorKind;

/** Receives what the engines do, for the metrics. */
export interface EngineObserver {
  /** A call of an engine with some rows. `ms`: of the run, or of the whole call if the call failed. */
  ran(version: LoadedVersion, outcome: CallOutcome, ms: number): void;
  ended(slot: number, end: EngineEnd, model: string): void;
}

/** The state of an engine slot. */
export interface SlotGauges {
  /** Seconds in which the slot had a run. */
  busyS: number;
  residentBytes: number;
  /** The versions in the engine. */
  loaded: readonly Loaded[];
}

const MIB = 1_048_576;
/** A model that needs a second to load is kept for at least five minutes. */
const IDLE_PER_START = 300;

/** `cores` is the number of cores of this process. Without the setting ENGINES: one engine for every two cores. */
export function poolOptions(config: Config, log: Logger, cores: number = availableParallelism()): PoolOptions {
  const engines = config.engines || Math.max(1, Math.floor(cores / 2), mostDevices(config.engineDevices));
  return {
    engines,
    threads: Math.max(1, Math.floor(cores / engines)),
    // With a single engine the next run waits in the socket of the engine. With several engines the first free engine gets the run.
    depth: engines === 1 ? 2 : 1,
    recycleBytes: config.engineMemoryMb * MIB,
    // A run can exceed the size at which the engine is replaced afterwards, up to this limit.
    memoryLimitBytes: 2 * config.engineMemoryMb * MIB,
    loadTimeoutMs: config.loadTimeoutMs,
    idleMs: config.engineIdleS * 1_000,
    idlePerStart: IDLE_PER_START,
    log,
  };
}

/** The number of devices of the provider that has the most: each device has an engine. */
function mostDevices(names: readonly string[]): number {
  const counts = Object.values(Object.groupBy(names, (name) => name.split(':', 1)[0] ?? ''));
  return Math.max(0, ...counts.map((devices) => devices?.length ?? 0));
}

/** The engines start at their first run, or with `warm`. An engine that has no run for a long time ends, and its next run starts a new engine. */
export function createEnginePool(options: PoolOptions): EnginePool {
  return new Pool(options);
}

// A run does not fail when its engine ends because of another run. After this number of such ends in sequence, the pool is at fault.
const LOST_RETRIES = 20;
// The verification has shown that the file can be loaded. An engine that ends during a later load most probably ended for another reason
// (the kernel is short of memory, a signal, an engine full of other models), so the load is repeated.
const LOADS = 4;
// A row that was alone when its engine ended runs once more on a new engine, for the same reason.
const DEATHS_ALONE = 2;
/** The worker ends an engine for these reasons in normal operation. */
const EXPECTED_ENDS: ReadonlySet<EngineEnd> = new Set(['stopped', 'recycled', 'idle', 'aborted']);
/** No run waits in the socket of an engine behind a longer run, because a more urgent run cannot overtake in the socket. */
const SHORT_MS = 20;

interface Waiting {
  priority: number;
  version: LoadedVersion;
  wake(): void;
}

class Pool implements EnginePool {
  readonly #slots: EngineSlot[];
  readonly #options: PoolOptions;
  readonly #failures: RowFailures;
  /** Runs that wait for an engine, in the order in which they get an engine. */
  readonly #queue: Waiting[] = [];
  /** Duration of the last run of a version in ms, and the version that each slot started last. */
  readonly #tookMs = new WeakMap<LoadedVersion, number>();
  readonly #begun = new Map<EngineSlot, LoadedVersion>();
  /** Callers of `whenFree`. */
  readonly #watchers: (() => void)[] = [];
  /** The slots of the versions that may load in some slots only, by key. */
  readonly #places = new Map<string, readonly EngineSlot[]>();
  /** Number of runs that were woken and have not started. */
  #woken = 0;
  readonly #running = new Set<Promise<unknown>>();
  readonly #idleWatch: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    const log = options.log;
    this.#failures = new RowFailures(log);
    this.#slots = Array.from(
      { length: options.engines },
      (_, slot) =>
        new EngineSlot({
          ...options,
          index: slot,
          onOutput: (line) => log.warn({ slot, line: line.slice(0, 1_000) }, 'engine output'),
          onEvent: (event, fields) => this.#onEvent(slot, event, fields),
        }),
    );
    if (options.idleMs > 0) this.#idleWatch = setInterval(() => this.#releaseIdle(), options.idleMs / 4).unref();
  }

  #onEvent(slot: number, event: EngineEvent, fields: Record<string, unknown>): void {
    const { log, observer } = this.#options;
    const { end, model, refused } = fields as { end?: EngineEnd; model?: string; refused?: string };
    // A version that runs on another provider than its first must not stay unnoticed.
    const isFault = (end !== undefined && !EXPECTED_ENDS.has(end)) || refused !== undefined;
    log[isFault ? 'warn' : 'debug']({ slot, ...fields }, `engine ${event}`);
    if (end !== undefined) observer?.ended(slot, end, model ?? '');
  }

  get slots(): readonly SlotGauges[] {
    return this.#slots.map(({ busyMs, residentBytes, loaded }) => ({ busyS: busyMs / 1_000, residentBytes, loaded }));
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

  callMs(version: LoadedVersion): number {
    return this.#tookMs.get(version) ?? 0;
  }

  get size(): number {
    return this.#slots.length;
  }

  get alive(): number {
    return this.#slots.filter((slot) => slot.alive).length;
  }

  describe(): Promise<SlotState[]> {
    return Promise.all(this.#slots.map((slot) => slot.describe()));
  }

  /** While no engine runs, the worker also releases its own memory: the pause delays no prediction. */
  #releaseIdle(): void {
    const released = this.#slots.filter((slot) => slot.releaseIdle());
    if (released.length > 0 && this.#slots.every(({ busy }) => busy === 0)) releaseMemory({ full: false });
  }

  async whenFree(): Promise<void> {
    while (this.free === 0 && !this.#closed) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  async warm(version?: LoadedVersion): Promise<void> {
    if (version === undefined) await Promise.all(this.#slots.map((slot) => slot.start()));
    else await Promise.all(this.#slotsOf(version).map((slot) => slot.load(version)));
  }

  async unload(key: string): Promise<void> {
    this.#failures.forget(key);
    this.#places.delete(key);
    await Promise.all(this.#slots.map((slot) => slot.unload(key)));
  }

  run(version: LoadedVersion, rows: readonly Row[], options: RunOptions = {}): Promise<RowResult[]> {
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
    clearInterval(this.#idleWatch);
    // Rejects runs that have not started at once.
    while (this.#queue.length > 0) this.#wake(0);
    for (const wake of this.#watchers.splice(0)) wake();
    await Promise.race([Promise.all(this.#running), delay(deadlineMs, undefined, { ref: false })]);
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }

  async #runWhenFree(
    version: LoadedVersion,
    rows: readonly Row[],
    { signal, priority = 0, onRun, idsOf }: RunOptions,
  ): Promise<RowResult[]> {
    // A slot is reserved for a run that was woken and has not started yet.
    for (let isWoken = false; !this.#canStart(version, isWoken); isWoken = true) {
      if (this.#closed) throw new Error('the engines are closed');
      await new Promise<void>((wake) => this.#wait({ priority, version, wake }, isWoken));
      this.#woken -= 1;
    }
    const slot = this.#choose(version);
    slot.beginRun();
    this.#begun.set(slot, version);
    const abort = () => slot.kill('the run was aborted');
    signal?.addEventListener('abort', abort, { once: true });
    try {
      signal?.throwIfAborted();
      const results: RowResult[] = [];
      for (const part of chunk(rows, version.maxBatch))
        results.push(...(await isolate(part, (some) => this.#attempt({ slot, version, signal, onRun, idsOf }, some))));
      return results;
    } finally {
      signal?.removeEventListener('abort', abort);
      slot.endRun();
      while (this.#queue.length > 0 && this.free > this.#woken && this.#wakeNext());
      if (this.#queue.length === 0) for (const wake of this.#watchers.splice(0)) wake();
    }
  }

  /** A slot is reserved for each other run that was woken. */
  #canStart(version: LoadedVersion, isWoken: boolean): boolean {
    if (this.free <= (isWoken ? 0 : this.#woken)) return false;
    const slots = this.#slotsOf(version);
    return slots === this.#slots || slots.some((slot) => this.#room(slot) > 0);
  }

  /** Wakes the first waiting run whose slots have room. Returns whether there is one. */
  #wakeNext(): boolean {
    const at = this.#queue.findIndex(({ version }) => {
      const slots = this.#slotsOf(version);
      return slots === this.#slots || slots.some((slot) => this.#room(slot) > 0);
    });
    if (at >= 0) this.#wake(at);
    return at >= 0;
  }

  #wake(at: number): void {
    this.#woken += 1;
    this.#queue.splice(at, 1)[0]?.wake();
  }

  /** A run that waits again comes before the runs of its priority. */
  #wait(one: Waiting, again: boolean): void {
    const isAfter = (other: Waiting) => one.priority < other.priority || (again && one.priority === other.priority);
    let at = this.#queue.length;
    while (at > 0 && isAfter(this.#queue[at - 1] as Waiting)) at -= 1;
    this.#queue.splice(at, 0, one);
  }

  /** The slots in which a version may load: all, or as many as its setting `instances`, with the fewest other such versions. */
  #slotsOf({ engine, key }: LoadedVersion): readonly EngineSlot[] {
    const most = engine?.instances ?? this.#slots.length;
    if (most >= this.#slots.length) return this.#slots;
    const known = this.#places.get(key);
    if (known?.length === most) return known;
    const taken = (slot: EngineSlot) => [...this.#places.values()].filter((slots) => slots.includes(slot)).length;
    const chosen = this.#slots.toSorted((a, b) => taken(a) - taken(b)).slice(0, most);
    this.#places.set(key, chosen);
    return chosen;
  }

  /** The least busy engine with room. Among equally busy engines: an engine that has loaded the version. */
  #choose(version: LoadedVersion): EngineSlot {
    const slots = this.#slotsOf(version);
    const cost = (slot: EngineSlot) => 2 * slot.busy + (slot.has(version) ? 0 : 1) + (this.#room(slot) > 0 ? 0 : 100);
    return slots.reduce((best, slot) => (cost(slot) < cost(best) ? slot : best));
  }

  async #attempt({ slot, version, signal, onRun, idsOf }: AttemptParams, rows: readonly Row[]): Promise<Attempt> {
    let lost = 0;
    let loads = 0;
    let deaths = 0;
    const { observer } = this.#options;
    for (;;) {
      signal?.throwIfAborted();
      const begunMs = performance.now();
      try {
        const { outputs, inferenceMs, encodeMs, decodeMs } = await slot.run(version, rows, idsOf);
        onRun?.({ inferenceMs, encodeMs, decodeMs, endedAt: sharedNow(), rows: rows.length });
        this.#tookMs.set(version, inferenceMs);
        observer?.ran(version, 'done', inferenceMs);
        if (outputs.length === rows.length) return { kind: 'done', outputs, inferenceMs };
        return { kind: 'failed', detail: `${outputs.length} outputs came of ${rows.length} rows` };
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        observer?.ran(version, error.kind, performance.now() - begunMs);
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
        if (rows.length === 1 && error.kind === 'failed') this.#failures.log(version, error);
        return attemptOf(version, error);
      }
    }
  }
}

function attemptOf(version: LoadedVersion, error: EngineError): Attempt {
  const detail = error.fault === undefined ? error.message : handlerFailure(error.fault, version, error.message);
  if (error instanceof LoadError) return { kind: 'hopeless', detail };
  if (error.kind === 'timeout') return { kind: 'fatal', code: 'inference_timeout', detail };
  if (error.kind === 'died') return { kind: 'fatal', code: 'inference_failed', detail };
  if (error.input !== undefined) return { kind: 'input', detail: error.message, input: error.input };
  return { kind: 'failed', detail };
}
