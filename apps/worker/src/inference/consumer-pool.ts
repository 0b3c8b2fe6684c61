/**
 * Opens and closes the consumers of this worker. Up to HOT models, every model always has a consumer. With more models, a model
 * gets a consumer when the model has work: submit.lua publishes a work signal, and a sweep each second finds work whose signal was
 * lost. A consumer costs connections and a check for stalled jobs twice a second, so thousands of consumers cannot be open.
 */
import { SHARDS, shardOf } from '@millrace/shared/predictions/ids';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Logger } from 'pino';
import type { Consumer } from './consumer.ts';

/** Number of consumers that stay open without work. */
const HOT = 64;
/** Above this number, the consumer that was idle longest is closed at once. */
const OPEN_MAX = 192;
const IDLE_MS = 60_000;
const SWEEP_MS = 1_000;
/** Models in one run of FIND_WORK, which blocks Redis while it runs. */
const MODELS_PER_SCRIPT = 500;

// KEYS: a key of the shard, for its slot. ARGV: prefix of the shard's queues, then models. Returns the models that have jobs in any
// state. Redis has no empty lists, so an existing list has a job.
const FIND_WORK = `
local found = {}
for n = 2, #ARGV do
  local queue = ARGV[1] .. ':' .. ARGV[n] .. ':'
  local lists = redis.call('EXISTS', queue .. 'wait', queue .. 'prioritized', queue .. 'active', queue .. 'delayed')
  if lists > 0 then found[#found + 1] = ARGV[n] end
end
return found`;

export interface ConsumersDeps {
  redis: Connection;
  keys: Keys;
  open(model: string): Consumer;
  /** Subscribes to work signals. Called once, when there are more models than HOT. Each signal then calls `signalWork`. */
  listen(): void;
  log: Logger;
  now?: () => number;
}

export class Consumers {
  readonly #deps: ConsumersDeps;
  readonly #now: () => number;
  readonly #open = new Map<string, Consumer>();
  readonly #closing = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  #models: ReadonlySet<string> = new Set();
  #sweeping: Promise<void> | undefined;
  #listening = false;
  #closed = false;
  #paused = false;

  constructor(deps: ConsumersDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? (() => performance.now());
    this.#timer = setInterval(() => void this.sweep(), SWEEP_MS);
  }

  /** The open consumers, in no order. */
  get open(): readonly Consumer[] {
    return [...this.#open.values()];
  }

  /** Whether this worker holds a job of the model under that lock token. */
  holds(model: string, job: string, token: string): boolean {
    return this.#open.get(model)?.holds(job, token) ?? false;
  }

  /** Sets the models that this worker can run now. */
  serve(models: ReadonlySet<string>): void {
    this.#models = models;
    if (models.size <= HOT) {
      for (const model of models) this.signalWork(model);
      return;
    }
    if (!this.#listening) this.#deps.listen();
    this.#listening = true;
    // Finds work that waited for a new model at once, without waiting for the next sweep.
    void this.sweep();
  }

  /** Takes no more jobs until `resume`. Running jobs continue. */
  pause(): void {
    this.#paused = true;
    for (const consumer of this.#open.values()) consumer.pause();
  }

  resume(): void {
    this.#paused = false;
    for (const consumer of this.#open.values()) consumer.resume();
  }

  /** Opens the consumer of a model that has work. */
  signalWork(model: string): void {
    if (this.#closed || this.#open.has(model) || !this.#models.has(model)) return;
    const consumer = this.#deps.open(model);
    if (this.#paused) consumer.pause();
    this.#open.set(model, consumer);
    if (this.#open.size > OPEN_MAX) this.#closeIdle(this.#open.size - OPEN_MAX, 0);
  }

  /** Opens consumers for models with work, and closes consumers that were idle for long. Never rejects. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep()
      .catch((error: unknown) => this.#deps.log.debug({ err: error }, 'the sweep for work failed'))
      .finally(() => {
        this.#sweeping = undefined;
      });
    return this.#sweeping;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#sweeping;
    await Promise.all([...[...this.#open.values()].map((consumer) => consumer.close()), ...this.#closing]);
  }

  async #sweep(): Promise<void> {
    if (this.#closed) return;
    if (this.#open.size > HOT) this.#closeIdle(this.#open.size - HOT, IDLE_MS);
    if (this.#models.size <= HOT) return;
    const { redis, keys } = this.#deps;
    const shards = Array.from({ length: SHARDS }, (): string[] => []);
    for (const model of this.#models) if (!this.#open.has(model)) shards[shardOf(model)]!.push(model);
    for (const [shard, models] of shards.entries()) {
      for (let at = 0; at < models.length; at += MODELS_PER_SCRIPT) {
        const some = models.slice(at, at + MODELS_PER_SCRIPT);
        const found = await redis.eval(FIND_WORK, 1, keys.sentinel(shard), keys.bull(shard), ...some);
        for (const model of found as string[]) this.signalWork(model);
      }
    }
  }

  /** Closes the consumers that were idle longest first. A consumer that takes a job while it closes finishes that job. */
  #closeIdle(count: number, idleMs: number): void {
    const before = this.#now() - idleMs;
    const idle = this.open
      .filter(({ active, lastMoveAt }) => active === 0 && lastMoveAt <= before)
      .sort((a, b) => a.lastMoveAt - b.lastMoveAt);
    for (const consumer of idle.slice(0, count)) {
      this.#open.delete(consumer.model);
      const closing = consumer
        .close()
        .catch((error: unknown) =>
          this.#deps.log.debug({ err: error, model: consumer.model }, 'a consumer could not be closed'),
        )
        .finally(() => this.#closing.delete(closing));
      this.#closing.add(closing);
    }
  }
}
