/**
 * One slot of the pool: its engine and the versions that are loaded in the engine. Starts a new engine when the engine has ended or has
 * grown too large.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { CPU, type Device, type Provider } from '@millrace/shared/model-files/engine-settings';
import type { Row } from '@millrace/shared/predictions/task';
import { Engine, type EngineOptions, type RunOutcome } from './engine.ts';
import { EngineError } from './engine-error.ts';
import { type LoadedSize, toUnload } from './memory-budget.ts';
import { residentBytes } from './process-memory.ts';
import type { LoadedVersion } from './protocol/loaded-version.ts';

export interface SlotOptions extends EngineOptions {
  /** The number of the slot. Slots take the devices of a provider in turn. */
  index: number;
  /** Resident bytes after a run at which the engine is replaced. */
  recycleBytes: number;
  loadTimeoutMs: number;
  /** Time without a run after which the engine is ended; 0 keeps the engine. See `isIdle`. */
  idleMs: number;
  /** An engine stays for at least this multiple of the duration of its start and its loads. */
  idlePerStart: number;
  onEvent(event: EngineEvent, fields: Record<string, unknown>): void;
}

/** What an engine does, and the versions that are loaded in the engine. */
export interface SlotState {
  status: 'starting' | 'idle' | 'busy' | 'stopped';
  loaded: Loaded[];
  /** Resident bytes of the engine; null without an engine. */
  memoryBytes: number | null;
}

/** A version in an engine, with the execution provider of its session. */
export interface Loaded {
  model: string;
  version: string;
  provider: Provider;
}

export type EngineEvent = 'started' | 'recycled' | 'released' | 'ended' | 'loaded' | 'unloaded';

interface Session extends LoadedSize {
  model: string;
  version: string;
  number: Promise<number>;
  provider: Provider;
}

/** An engine with its loaded sessions. The number of a session is valid in this engine only. */
interface EngineInstance {
  engine: Engine;
  sessions: Map<string, Session>;
  /** Resident bytes after the last load: the memory of the idle engine. */
  restBytes: number;
  /** Milliseconds that the start and the loads of the engine took. A new engine would need this time again. */
  startMs: number;
}

/** A run in progress. */
interface SlotRun {
  rows: readonly Row[];
  idsOf: IdsOf;
}

/** The ids of the predictions that have these rows. */
export type IdsOf = (rows: readonly Row[]) => readonly string[];
const noIds: IdsOf = () => [];

/** Most ids in the event of an ended engine. */
const IDS_MAX = 5;

/** Memory of Node and onnxruntime before the first load. */
const BASE_BYTES = 100 * 1_048_576;
const DRAIN_POLL_MS = 20;

/**
 * The version could not be loaded, so no row of the version can run, and halving a batch does not help. With `kind` `failed` the
 * version can never be loaded. With another kind the engine ended, and a load in a new engine can succeed.
 */
export class LoadError extends EngineError {
  override name = 'LoadError';
}

export class EngineSlot {
  readonly #options: SlotOptions;
  #arriving: Promise<EngineInstance> | undefined;
  #current: EngineInstance | undefined;
  #clock = 0;
  #isReplacing = false;
  #isClosed = false;
  #usedMs = performance.now();
  #busySince = 0;
  #busyMs = 0;
  #residentBytes = 0;
  /** The version of the last run or load. */
  #last: LoadedVersion | undefined;
  #busy = 0;
  /** The runs that the engine has, in their order. The engine computes the first. */
  readonly #runs: SlotRun[] = [];

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  /** Number of runs in progress in this slot. */
  get busy(): number {
    return this.#busy;
  }

  /** Counts a run from here to `endRun`. */
  beginRun(): void {
    if (this.#busy === 0) this.#busySince = performance.now();
    this.#busy += 1;
  }

  endRun(): void {
    this.#busy -= 1;
    if (this.#busy === 0) this.#busyMs += performance.now() - this.#busySince;
  }

  /** Milliseconds in which this slot had a run. */
  get busyMs(): number {
    return this.#busyMs + (this.#busy > 0 ? performance.now() - this.#busySince : 0);
  }

  /** Resident bytes of the engine after its last run or load; 0 without an engine. */
  get residentBytes(): number {
    return this.alive ? this.#residentBytes : 0;
  }

  /** Whether the engine has started and has not ended. */
  get alive(): boolean {
    return this.#current?.engine.alive ?? false;
  }

  /** Starts the engine before its first run. */
  async start(): Promise<void> {
    await this.#instance();
  }

  has(version: LoadedVersion): boolean {
    return this.#current?.sessions.has(version.key) ?? false;
  }

  /** The versions in the engine. */
  get loaded(): Loaded[] {
    const sessions = this.alive ? [...(this.#current?.sessions.values() ?? [])] : [];
    return sessions.map(({ model, version, provider }) => ({ model, version, provider }));
  }

  /** The engine as an operator sees it. */
  async describe(): Promise<SlotState> {
    const instance = this.#current;
    const isAlive = instance?.engine.alive === true;
    return {
      status: isAlive ? (this.busy > 0 ? 'busy' : 'idle') : this.#arriving === undefined ? 'stopped' : 'starting',
      loaded: this.loaded,
      memoryBytes: await memoryOf(isAlive ? instance.engine.pid : undefined),
    };
  }

  /** Loads a version that is not loaded yet. Rejects with an EngineError. */
  async load(version: LoadedVersion): Promise<void> {
    const instance = await this.#instance();
    await (instance.sessions.get(version.key) ?? this.#load(instance, version)).number;
  }

  /** Loads a version that is not loaded yet, then runs the rows as one batch. Rejects with an EngineError. */
  async run(version: LoadedVersion, rows: readonly Row[], idsOf: IdsOf = noIds): Promise<RunOutcome> {
    const instance = await this.#instance();
    const { engine, sessions } = instance;
    const loaded = sessions.get(version.key);
    if (loaded !== undefined) loaded.usedAt = ++this.#clock;
    const session = await (loaded ?? this.#load(instance, version)).number;
    this.#last = version;
    const outcome = await this.#runIn(engine, { rows, idsOf }, () => engine.run(session, rows, version.timeoutMs));
    this.#usedMs = performance.now();
    this.#residentBytes = outcome.residentBytes;
    if (instance === this.#current && this.#hasGrown(instance, outcome)) void this.#replace(instance, version);
    return outcome;
  }

  /** Notes a run while the engine has the run, so that the event of an ended engine names its predictions. */
  async #runIn(engine: Engine, run: SlotRun, start: () => Promise<RunOutcome>): Promise<RunOutcome> {
    this.#runs.push(run);
    try {
      return await start();
    } catch (error) {
      // The event of the end reads the runs.
      if (!engine.alive) await engine.exited;
      throw error;
    } finally {
      this.#runs.splice(this.#runs.indexOf(run), 1);
    }
  }

  /** Unloads a version that is no longer served. */
  async unload(key: string): Promise<void> {
    if (this.#current !== undefined) await this.#unload(this.#current, key);
  }

  /** Ends an engine that has had no run for a long time. The next run starts a new engine. Returns whether an engine was ended. */
  releaseIdle(): boolean {
    const instance = this.#current;
    if (instance === undefined || !this.#isIdle(instance)) return false;
    this.#current = undefined;
    this.#arriving = undefined;
    this.#options.onEvent('released', { pid: instance.engine.pid });
    instance.engine.kill('the engine was idle', 'idle');
    return true;
  }

  /** An engine with a large model takes long to start, and is therefore kept longer: few requests wait for a start. */
  #isIdle({ engine, startMs }: EngineInstance): boolean {
    const { idleMs, idlePerStart } = this.#options;
    const keptMs = Math.max(idleMs, idlePerStart * startMs);
    const isUsed = this.busy > 0 || engine.pending > 0 || this.#isReplacing;
    return idleMs > 0 && !isUsed && performance.now() - this.#usedMs > keptMs;
  }

  kill(detail: string): void {
    this.#current?.engine.kill(detail, 'aborted');
    this.#arriving?.then(({ engine }) => engine.kill(detail, 'aborted')).catch(() => {});
  }

  /** Ends the engine at once. The slot starts no further engine. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const instance = await this.#arriving?.catch(() => undefined);
    instance?.engine.kill('the worker stops', 'stopped');
    await instance?.engine.exited;
  }

  /** The current engine, or a new engine when the current engine has ended. */
  #instance(): Promise<EngineInstance> {
    if (this.#arriving !== undefined && (this.#current === undefined || this.#current.engine.alive))
      return this.#arriving;
    this.#current = undefined;
    const arriving = this.#startEngine();
    this.#arriving = arriving;
    arriving.then(
      (instance) => {
        if (this.#arriving === arriving) this.#current = instance;
      },
      () => {
        if (this.#arriving === arriving) this.#arriving = undefined;
      },
    );
    return arriving;
  }

  async #startEngine(): Promise<EngineInstance> {
    const begunMs = performance.now();
    const engine = await Engine.start(this.#options);
    this.#usedMs = performance.now();
    this.#options.onEvent('started', { pid: engine.pid });
    void engine.exited.then(() => {
      const { model, version } = this.#last ?? {};
      const [run] = this.#runs;
      const ids = run?.idsOf(run.rows).slice(0, IDS_MAX) ?? [];
      const about = { pid: engine.pid, model, version, running: this.busy, rows: run?.rows.length ?? 0, ids };
      this.#options.onEvent('ended', { ...about, ...engine.ending });
    });
    if (this.#isClosed) engine.kill('the worker stops', 'stopped');
    return { engine, sessions: new Map(), restBytes: BASE_BYTES, startMs: this.#usedMs - begunMs };
  }

  async #unload({ engine, sessions }: EngineInstance, key: string): Promise<void> {
    const session = sessions.get(key);
    if (session === undefined) return;
    sessions.delete(key);
    this.#options.onEvent('unloaded', { key });
    await session.number.then((number) => engine.unload(number)).catch(() => {});
  }

  #load(instance: EngineInstance, version: LoadedVersion): Session {
    const { engine, sessions } = instance;
    const budget = this.#options.recycleBytes - BASE_BYTES;
    for (const key of toUnload([...sessions], budget, instance.restBytes - BASE_BYTES))
      void this.#unload(instance, key);
    this.#last = version;
    const { content, handler, entities, labels } = version;
    const { index, threads, loadTimeoutMs } = this.#options;
    const before = instance.restBytes;
    const devices = devicesOf(version, index);
    const request = { content, handler, entities, labels, devices, threads: version.engine?.threads ?? threads };
    const loading = engine.load(request, loadTimeoutMs);
    const number = loading.then(
      ({ session: loaded }) => loaded,
      (error: unknown) => {
        if (sessions.get(version.key) === session) sessions.delete(version.key);
        const kind = error instanceof EngineError ? error.kind : 'failed';
        throw new LoadError(kind, `the model could not be loaded: ${(error as Error).message}`);
      },
    );
    const session: Session = {
      model: version.model,
      version: version.version,
      bytes: 0,
      usedAt: ++this.#clock,
      number,
      provider: devices[0]?.provider ?? CPU,
    };
    sessions.set(version.key, session);
    loading.then(
      ({ residentBytes, loadMs, provider, refused }) => {
        session.provider = provider;
        session.bytes = Math.max(0, residentBytes - before);
        instance.restBytes = Math.max(residentBytes, BASE_BYTES);
        this.#residentBytes = residentBytes;
        instance.startMs += loadMs;
        this.#usedMs = performance.now();
        const fields = { model: version.model, version: version.version, provider };
        this.#options.onEvent('loaded', {
          ...fields,
          loadMs,
          residentBytes,
          ...(refused === undefined ? {} : { refused }),
        });
      },
      () => {},
    );
    return session;
  }

  /**
   * Whether the engine must be replaced after this run. onnxruntime keeps the memory of its largest batch, and some memory of every
   * session. An engine whose loaded models alone exceed the limit stays: otherwise every run would replace the engine.
   */
  #hasGrown({ restBytes }: EngineInstance, { residentBytes }: RunOutcome): boolean {
    return residentBytes > this.#options.recycleBytes && residentBytes > 1.5 * restBytes;
  }

  /** Starts a new engine and loads the version of the last run. The old engine continues until then. */
  async #replace(old: EngineInstance, version: LoadedVersion): Promise<void> {
    if (this.#isReplacing) return;
    this.#isReplacing = true;
    let fresh: EngineInstance | undefined;
    try {
      fresh = await this.#startEngine();
      await this.#load(fresh, version).number;
      if (this.#isClosed || this.#current !== old) throw new Error('the old engine has ended');
    } catch {
      // The old engine continues. The next run that finds the engine too large tries again.
      fresh?.engine.kill('the new engine did not take over', 'stopped');
      return;
    } finally {
      this.#isReplacing = false;
    }
    this.#options.onEvent('recycled', { pid: old.engine.pid, by: fresh.engine.pid });
    this.#current = fresh;
    this.#arriving = Promise.resolve(fresh);
    // The old engine first finishes the requests in progress.
    while (old.engine.alive && old.engine.pending > 0) await delay(DRAIN_POLL_MS, undefined, { ref: false });
    old.engine.kill('the engine was replaced', 'recycled');
  }
}

/** The devices of a version in a slot: one device of each provider. */
function devicesOf({ engine }: LoadedVersion, index: number): readonly Device[] {
  const providers = engine?.providers ?? [{ name: CPU, ids: [0] }];
  return providers.map(({ name, ids }) => ({ provider: name, id: ids[index % ids.length] ?? 0 }));
}

async function memoryOf(pid: number | undefined): Promise<number | null> {
  return pid === undefined ? null : ((await residentBytes(pid)) ?? null);
}
