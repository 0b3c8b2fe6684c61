/**
 * One place of the pool: the engine that sits in it, the versions loaded there, and a fresh engine when that one ends
 * or has grown too large.
 */
import { Engine, EngineError, type EngineOptions, type RunOutcome } from './engine.ts';
import type { LoadedVersion } from './loaded-version.ts';
import { type LoadedSize, toUnload } from './memory-budget.ts';

export interface SeatOptions extends EngineOptions {
  /** Resident bytes after a run at which the engine is replaced. */
  recycleBytes: number;
  loadTimeoutMs: number;
  onEvent(event: 'started' | 'recycled' | 'ended' | 'loaded' | 'unloaded', fields: Record<string, unknown>): void;
}

interface Session extends LoadedSize {
  number: Promise<number>;
}

export class EngineSeat {
  readonly #options: SeatOptions;
  #engine: Promise<Engine> | undefined;
  #current: Engine | undefined;
  #sessions = new Map<string, Session>();
  /** Resident bytes after the last load: what the engine needs when it does nothing. */
  #restBytes = 0;
  #clock = 0;
  /** Runs that were given to this seat and are not done. */
  busy = 0;

  constructor(options: SeatOptions) {
    this.#options = options;
  }

  /** The engine, started if need be. */
  engine(): Promise<Engine> {
    if (this.#engine !== undefined && (this.#current === undefined || this.#current.alive)) return this.#engine;
    this.#sessions = new Map();
    this.#current = undefined;
    this.#restBytes = 0;
    const starting = Engine.start(this.#options);
    this.#engine = starting;
    starting.then(
      (engine) => {
        if (this.#engine === starting) this.#current = engine;
        this.#options.onEvent('started', { pid: engine.pid });
        void engine.exited.then(() => this.#options.onEvent('ended', { pid: engine.pid }));
      },
      () => {
        if (this.#engine === starting) this.#engine = undefined;
      },
    );
    return starting;
  }

  has(version: LoadedVersion): boolean {
    return this.#sessions.has(version.key);
  }

  /** Loads the version if it is not loaded. Rejects with an EngineError. */
  async load(version: LoadedVersion): Promise<void> {
    const engine = await this.engine();
    await (this.#sessions.get(version.key) ?? this.#load(engine, version)).number;
  }

  /** Loads the version if it is not loaded, then runs the rows as one batch. Rejects with an EngineError. */
  async run(version: LoadedVersion, rows: readonly string[]): Promise<RunOutcome> {
    const engine = await this.engine();
    const loaded = this.#sessions.get(version.key);
    if (loaded !== undefined) loaded.usedAt = ++this.#clock;
    const session = await (loaded ?? this.#load(engine, version)).number;
    const outcome = await engine.run(session, rows, version.timeoutMs);
    if (engine === this.#current) this.#recycleAbove(outcome.residentBytes, engine);
    return outcome;
  }

  /** Drops a version that is no longer served. */
  async unload(key: string): Promise<void> {
    const session = this.#sessions.get(key);
    if (session === undefined || this.#current === undefined) return;
    this.#sessions.delete(key);
    this.#options.onEvent('unloaded', { key });
    await this.#current.unload(await session.number).catch(() => {});
  }

  kill(detail: string): void {
    this.#current?.kill(detail);
    this.#engine?.then((engine) => engine.kill(detail)).catch(() => {});
  }

  /** Ends the engine once it has answered what it was asked. */
  async close(): Promise<void> {
    const engine = await this.#engine?.catch(() => undefined);
    engine?.kill('the worker stops');
    await engine?.exited;
  }

  #load(engine: Engine, version: LoadedVersion): Session {
    const budget = this.#options.recycleBytes - BASE_BYTES;
    for (const key of toUnload([...this.#sessions], budget, this.#restBytes - BASE_BYTES)) void this.unload(key);
    const { modelPath, handler, entities, labels } = version;
    const before = this.#restBytes;
    const loading = engine.load({ modelPath, handler, entities, labels }, this.#options.loadTimeoutMs);
    const session: Session = { bytes: 0, usedAt: ++this.#clock, number: loading.then((answer) => answer.session) };
    this.#sessions.set(version.key, session);
    loading.then(
      ({ residentBytes, loadMs }) => {
        session.bytes = Math.max(0, residentBytes - Math.max(before, BASE_BYTES));
        this.#restBytes = residentBytes;
        this.#options.onEvent('loaded', { model: version.model, version: version.version, loadMs, residentBytes });
      },
      () => {
        if (this.#sessions.get(version.key) === session) this.#sessions.delete(version.key);
      },
    );
    session.number = session.number.catch((error: unknown) => {
      const kind = error instanceof EngineError && error.kind === 'lost' ? 'lost' : 'failed';
      throw new LoadError(kind, `the model could not be loaded: ${(error as Error).message}`);
    });
    return session;
  }

  /**
   * onnxruntime keeps what its largest batch needed, and a little of every session: an engine that grew is replaced
   * after its run. One whose models alone are that large is let be, or it would be replaced after every run.
   */
  #recycleAbove(residentBytes: number, engine: Engine): void {
    const { recycleBytes, onEvent } = this.#options;
    if (residentBytes <= recycleBytes || residentBytes <= 1.5 * this.#restBytes) return;
    onEvent('recycled', { pid: engine.pid, residentBytes });
    this.#engine = undefined;
    this.#current = undefined;
    const end = () => engine.kill('it was replaced');
    // What was sent to it already is answered first.
    if (engine.pending === 0) end();
    else void this.#drained(engine).then(end);
    void this.engine().catch(() => {});
  }

  async #drained(engine: Engine): Promise<void> {
    while (engine.alive && engine.pending > 0)
      await Promise.race([engine.exited, new Promise((resolve) => setTimeout(resolve, 20))]);
  }
}

/** What Node and onnxruntime take before any model is loaded. */
const BASE_BYTES = 100 * 1_048_576;

/** The version cannot be loaded: no row of it can be run, so that halving is of no use. */
export class LoadError extends EngineError {
  override name = 'LoadError';
}
