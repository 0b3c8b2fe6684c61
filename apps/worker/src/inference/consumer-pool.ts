/**
 * Which models of this worker have a consumer. Up to HOT of them all have one, always. Of more, a model gets one when it
 * has work: a doorbell tells of it at once (submit.lua), and a sweep each second finds whatever was not told, so that
 * nothing is left waiting. A consumer costs connections and a look for stalled jobs twice a second: thousands cannot
 * all be open.
 */
import { SHARDS, shardOf } from '@millrace/shared/predictions/ids';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Logger } from 'pino';
import type { Consumer } from './consumer.ts';

/** So many stay open however idle they are. */
const HOT = 64;
/** Beyond so many, the one that was idle longest goes at once. */
const OPEN_MAX = 192;
const IDLE_MS = 60_000;
const SWEEP_MS = 1_000;
/** Models asked about in one script, which holds up Redis for as long as it runs. */
const ASKED_AT_ONCE = 500;

// KEYS: a key of the shard, for its slot. ARGV: prefix of the shard's queues, then models. Gives back those that hold jobs in any
// state: Redis has no empty lists, so a list that is there has a job in it.
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
  /** Called once, when there are more models than can all have a consumer: from then on doorbells go to `ring`. */
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

  /** Those that are open, in no order. */
  get open(): readonly Consumer[] {
    return [...this.#open.values()];
  }

  /** Whether a job of a model is held here under that lock token. */
  holds(model: string, job: string, token: string): boolean {
    return this.#open.get(model)?.holds(job, token) ?? false;
  }

  /** The models that can be run here now. */
  serve(models: ReadonlySet<string>): void {
    this.#models = models;
    if (models.size <= HOT) {
      for (const model of models) this.signalWork(model);
      return;
    }
    if (!this.#listening) this.#deps.listen();
    this.#listening = true;
    // What waited for a model that could not be run here until now is found without waiting for the next round.
    void this.sweep();
  }

  /** Takes no more jobs until `resume`; what is under way goes on. */
  pause(): void {
    this.#paused = true;
    for (const consumer of this.#open.values()) consumer.pause();
  }

  resume(): void {
    this.#paused = false;
    for (const consumer of this.#open.values()) consumer.resume();
  }

  /** Told that a model has work. */
  signalWork(model: string): void {
    if (this.#closed || this.#open.has(model) || !this.#models.has(model)) return;
    const consumer = this.#deps.open(model);
    if (this.#paused) consumer.pause();
    this.#open.set(model, consumer);
    if (this.#open.size > OPEN_MAX) this.#closeIdle(this.#open.size - OPEN_MAX, 0);
  }

  /** Opens what has work and closes what has had none for long. Rejects never. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep()
      .catch((error: unknown) => this.#deps.log.debug({ err: error }, 'no sweep for work'))
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
      for (let at = 0; at < models.length; at += ASKED_AT_ONCE) {
        const some = models.slice(at, at + ASKED_AT_ONCE);
        const found = await redis.eval(FIND_WORK, 1, keys.sentinel(shard), keys.bull(shard), ...some);
        for (const model of found as string[]) this.signalWork(model);
      }
    }
  }

  /** The longest idle first. One that takes a job while it closes does that job first. */
  #closeIdle(count: number, idleMs: number): void {
    const before = this.#now() - idleMs;
    const idle = this.open
      .filter(({ active, lastMoveAt }) => active === 0 && lastMoveAt <= before)
      .sort((a, b) => a.lastMoveAt - b.lastMoveAt);
    for (const consumer of idle.slice(0, count)) {
      this.#open.delete(consumer.model);
      const closing = consumer
        .close()
        .catch((error: unknown) => this.#deps.log.debug({ err: error, model: consumer.model }, 'consumer not closed'))
        .finally(() => this.#closing.delete(closing));
      this.#closing.add(closing);
    }
  }
}
