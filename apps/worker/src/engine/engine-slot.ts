/**
 * One place of the pool: the engine that sits in it, the versions loaded there, and a fresh engine when that one ends
 * or has grown too large.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Engine, type EngineOptions, type RunOutcome } from './engine.ts';
import { EngineError } from './engine-error.ts';
import { type LoadedSize, toUnload } from './memory-budget.ts';
import type { LoadedVersion } from './protocol/loaded-version.ts';

export interface SlotOptions extends EngineOptions {
  /** Resident bytes after a run at which the engine is replaced. */
  recycleBytes: number;
  loadTimeoutMs: number;
  onEvent(event: 'started' | 'recycled' | 'ended' | 'loaded' | 'unloaded', fields: Record<string, unknown>): void;
}

interface Session extends LoadedSize {
  number: Promise<number>;
}

/** An engine with what is loaded in it: numbers of sessions mean nothing to another one. */
interface EngineInstance {
  engine: Engine;
  sessions: Map<string, Session>;
  /** Resident bytes after the last load: what the engine needs when it does nothing. */
  restBytes: number;
}

/** What Node and onnxruntime take before any model is loaded. */
const BASE_BYTES = 100 * 1_048_576;
const DRAIN_POLL_MS = 20;

/**
 * The version could not be loaded: no row of it can be run, so that halving is of no use. Of `kind` `failed` it never can
 * be; of another its engine ended, and a fresh one may do better.
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
  /** Runs that were given to this seat and are not done. */
  busy = 0;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  /** Starts the engine ahead of its first run. */
  async start(): Promise<void> {
    await this.#instance();
  }

  has(version: LoadedVersion): boolean {
    return this.#current?.sessions.has(version.key) ?? false;
  }

  /** Loads the version if it is not loaded. Rejects with an EngineError. */
  async load(version: LoadedVersion): Promise<void> {
    const instance = await this.#instance();
    await (instance.sessions.get(version.key) ?? this.#load(instance, version)).number;
  }

  /** Loads the version if it is not loaded, then runs the rows as one batch. Rejects with an EngineError. */
  async run(version: LoadedVersion, rows: readonly string[]): Promise<RunOutcome> {
    const instance = await this.#instance();
    const { engine, sessions } = instance;
    const loaded = sessions.get(version.key);
    if (loaded !== undefined) loaded.usedAt = ++this.#clock;
    const session = await (loaded ?? this.#load(instance, version)).number;
    const outcome = await engine.run(session, rows, version.timeoutMs);
    if (instance === this.#current && this.#hasGrown(instance, outcome)) void this.#replace(instance, version);
    return outcome;
  }

  /** Drops a version that is no longer served. */
  async unload(key: string): Promise<void> {
    if (this.#current !== undefined) await this.#unload(this.#current, key);
  }

  kill(detail: string): void {
    this.#current?.engine.kill(detail);
    this.#arriving?.then(({ engine }) => engine.kill(detail)).catch(() => {});
  }

  /** Ends the engine at once; there will be no other. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const instance = await this.#arriving?.catch(() => undefined);
    instance?.engine.kill('the worker stops');
    await instance?.engine.exited;
  }

  /** The engine that sits here, or a new one where that has ended. */
  #instance(): Promise<EngineInstance> {
    if (this.#arriving !== undefined && (this.#current === undefined || this.#current.engine.alive))
      return this.#arriving;
    this.#current = undefined;
    const arriving = this.#newOccupant();
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

  async #newOccupant(): Promise<EngineInstance> {
    const engine = await Engine.start(this.#options);
    this.#options.onEvent('started', { pid: engine.pid });
    void engine.exited.then(() => this.#options.onEvent('ended', { pid: engine.pid }));
    if (this.#isClosed) engine.kill('the worker stops');
    return { engine, sessions: new Map(), restBytes: BASE_BYTES };
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
    const { content, handler, entities, labels } = version;
    const before = instance.restBytes;
    const loading = engine.load({ content, handler, entities, labels }, this.#options.loadTimeoutMs);
    const number = loading.then(
      (answer) => answer.session,
      (error: unknown) => {
        if (sessions.get(version.key) === session) sessions.delete(version.key);
        const kind = error instanceof EngineError ? error.kind : 'failed';
        throw new LoadError(kind, `the model could not be loaded: ${(error as Error).message}`);
      },
    );
    const session: Session = { bytes: 0, usedAt: ++this.#clock, number };
    sessions.set(version.key, session);
    loading.then(
      ({ residentBytes, loadMs }) => {
        session.bytes = Math.max(0, residentBytes - before);
        instance.restBytes = Math.max(residentBytes, BASE_BYTES);
        this.#options.onEvent('loaded', { model: version.model, version: version.version, loadMs, residentBytes });
      },
      () => {},
    );
    return session;
  }

  /**
   * onnxruntime keeps what its largest batch needed, and a little of every session: an engine that grew is replaced
   * after its run. One whose models alone are that large is let be, or it would be replaced after every run.
   */
  #hasGrown({ restBytes }: EngineInstance, { residentBytes }: RunOutcome): boolean {
    return residentBytes > this.#options.recycleBytes && residentBytes > 1.5 * restBytes;
  }

  /** A fresh engine takes over when it has loaded what was run last; until then the old one goes on. */
  async #replace(old: EngineInstance, version: LoadedVersion): Promise<void> {
    if (this.#isReplacing) return;
    this.#isReplacing = true;
    let fresh: EngineInstance | undefined;
    try {
      fresh = await this.#newOccupant();
      await this.#load(fresh, version).number;
      if (this.#isClosed || this.#current !== old) throw new Error('the old one is gone');
    } catch {
      // Where the old one goes on, the next run that finds it too large tries again.
      fresh?.engine.kill('it did not take over');
      return;
    } finally {
      this.#isReplacing = false;
    }
    this.#options.onEvent('recycled', { pid: old.engine.pid, by: fresh.engine.pid });
    this.#current = fresh;
    this.#arriving = Promise.resolve(fresh);
    // What was sent to it already is answered first.
    while (old.engine.alive && old.engine.pending > 0) await delay(DRAIN_POLL_MS, undefined, { ref: false });
    old.engine.kill('it was replaced');
  }
}
