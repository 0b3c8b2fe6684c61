/** Keeps what admission needs to know of each model's queue and of Redis, a moment old at most, off the fast path. */

import type { LiveStore, QueueCounts } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { shardOf } from '@millrace/shared/predictions/ids';
import type { QueueMemory } from '@millrace/shared/queue/reserved-outputs';
import type { ServerMemory } from '@millrace/shared/redis/memory-use';
import { DrainRate, enteredOf, type Load, waitingOf } from './admission.ts';

/**
 * While everything is refused nothing goes in that would bring counts with it, and the queue drains meanwhile: with counts half
 * a second old a short queue stood empty for a third of the time under overload.
 */
const REFRESH_MS = 50;
/** Memory is looked at this often, and more often from TIGHT_SHARE on: a few large outputs fill it within a second. */
const MEMORY_MS = 1_000;
const TIGHT_MEMORY_MS = 100;
const TIGHT_SHARE = 0.35;
const NOTHING: QueueCounts = { entered: {}, left: {} };

interface Known {
  counts: QueueCounts;
  rate: DrainRate;
  /** From the take of a prediction to its end: a mean in which each new run has a tenth. */
  runMs: number | undefined;
  shard: number;
  /** Mean bytes of an output, measured or expected; 0 while neither is known. */
  outputBytes: number;
  /** Outputs that were to come at the last look, and how many predictions had entered; undefined before the first look. */
  looked: { outputs: number; entered: number } | undefined;
  /** Predictions that this process admitted since the last look: among them followers, and those on their way to Redis. */
  admitted: number;
  /** What its outputs to come add to the bytes that are reserved. */
  reservedBytes: number;
  at: number;
  refreshing: boolean;
}

interface Server extends ServerMemory {
  /** Bytes of the outputs to come whose shards the server has. */
  reservedBytes: number;
}

const reservedShareOf = ({ reservedBytes, limitBytes }: Server): number =>
  limitBytes > 0 ? reservedBytes / limitBytes : 0;

export interface QueueLoadDeps {
  live: Pick<LiveStore, 'counts'>;
  readMemory(): Promise<QueueMemory>;
  /** Tells all processes how many bytes an output of the model is expected to have. */
  expectOutput(model: string, bytes: number): Promise<void>;
}

export class QueueLoad {
  readonly #live: Pick<LiveStore, 'counts'>;
  readonly #readMemory: () => Promise<QueueMemory>;
  readonly #known = new Map<string, Known>();
  readonly #expectOutput: (model: string, bytes: number) => Promise<void>;
  #servers: Server[] = [{ share: 0, limitBytes: 0, reservedBytes: 0 }];
  /** Place in #servers of each shard's server. */
  #serverOf: readonly number[] = [];
  #memory: { at: number; refreshing: boolean; timer?: NodeJS.Timeout } = { at: 0, refreshing: false };

  constructor({ live, readMemory, expectOutput }: QueueLoadDeps) {
    this.#live = live;
    this.#readMemory = readMemory;
    this.#expectOutput = expectOutput;
  }

  #of(model: string): Known {
    let known = this.#known.get(model);
    if (!known) {
      known = {
        counts: NOTHING,
        rate: new DrainRate(),
        runMs: undefined,
        shard: shardOf(model),
        outputBytes: 0,
        looked: undefined,
        admitted: 0,
        reservedBytes: 0,
        at: 0,
        refreshing: false,
      };
      this.#known.set(model, known);
    }
    return known;
  }

  /** Counts that came with something else. */
  observe(model: string, counts: QueueCounts, nowMs: number): void {
    const known = this.#of(model);
    known.counts = counts;
    known.at = nowMs;
    known.rate.observe(counts, nowMs);
    if (known.outputBytes > 0) this.#reserve(known);
  }

  /**
   * Between two looks at the memory the reserved bytes only grow: a prediction that left the queue since the last look is running,
   * or the measured memory does not contain its output.
   */
  #reserve(known: Known): void {
    const { looked, counts, admitted } = known;
    const since = looked ? enteredOf(counts) - looked.entered : waitingOf(counts);
    const outputs = (looked?.outputs ?? 0) + Math.max(0, since, admitted);
    const bytes = outputs * known.outputBytes;
    this.#server(known).reservedBytes += bytes - known.reservedBytes;
    known.reservedBytes = bytes;
  }

  #server({ shard }: Known): Server {
    return this.#servers[this.#serverOf[shard] ?? 0] as Server;
  }

  /** Takes over the memory and the outputs to come of all models, also of models that only other processes serve. */
  #observeMemory({ servers, serverOf, pending }: QueueMemory, admitted: ReadonlyMap<Known, number>): void {
    if (servers.length === 0) return;
    this.#servers = servers.map((server) => ({ ...server, reservedBytes: 0 }));
    this.#serverOf = serverOf;
    for (const known of this.#known.values()) {
      known.admitted -= admitted.get(known) ?? 0;
      known.looked = undefined;
      known.outputBytes = 0;
      known.reservedBytes = 0;
    }
    for (const { model, entered, outputs, bytes } of pending) {
      const known = this.#of(model);
      known.looked = { outputs, entered };
      known.outputBytes = bytes;
      this.#reserve(known);
    }
  }

  /** Reserves room for the output of a prediction that was admitted. */
  admitted(model: string): void {
    const known = this.#of(model);
    known.admitted += 1;
    if (known.outputBytes > 0) this.#reserve(known);
  }

  /** Sets the expected bytes of an output of the model, in every process, until a worker has measured an output. */
  expect(model: string, bytes: number): void {
    const known = this.#of(model);
    if (known.outputBytes > 0) return;
    known.outputBytes = bytes;
    this.#reserve(known);
    // After a failed write a later request writes again.
    this.#expectOutput(model, bytes).catch(() => {});
  }

  /** A prediction of the model ended `ms` after a worker had taken it. */
  observeRun(model: string, ms: number): void {
    const known = this.#of(model);
    known.runMs = known.runMs === undefined ? ms : known.runMs + (ms - known.runMs) / 10;
  }

  #look(): void {
    const memory = this.#memory;
    if (memory.refreshing) return;
    memory.refreshing = true;
    clearTimeout(memory.timer);
    const admitted = new Map([...this.#known.values()].map((one) => [one, one.admitted]));
    this.#readMemory()
      .then((read) => {
        this.#observeMemory(read, admitted);
        this.#lookAgain();
      })
      .catch(() => {})
      .finally(() => {
        memory.at = sharedNow();
        memory.refreshing = false;
      });
  }

  /** While room is reserved or short: the next request may come much later, and old numbers must not refuse the request. */
  #lookAgain(): void {
    const isTight = this.#servers.some((server) => server.share + reservedShareOf(server) >= TIGHT_SHARE);
    if (!isTight && this.#servers.every(({ reservedBytes }) => reservedBytes === 0)) return;
    this.#memory.timer = setTimeout(() => this.#look(), isTight ? TIGHT_MEMORY_MS : MEMORY_MS).unref();
  }

  /** What is known now; asks for news behind the caller's back when it is old. */
  current(model: string, nowMs: number): Load {
    const known = this.#of(model);
    if (Math.abs(nowMs - known.at) > REFRESH_MS && !known.refreshing) {
      known.refreshing = true;
      this.#live
        .counts(model)
        .then((counts) => this.observe(model, counts, sharedNow()))
        .catch(() => {})
        .finally(() => {
          known.refreshing = false;
        });
    }
    const memory = this.#memory;
    const server = this.#server(known);
    const { share, limitBytes } = server;
    const reservedShare = reservedShareOf(server);
    const everyMs = share + reservedShare >= TIGHT_SHARE ? TIGHT_MEMORY_MS : MEMORY_MS;
    if (Math.abs(nowMs - memory.at) > everyMs) this.#look();
    return {
      counts: known.counts,
      perMs: known.rate.perMs,
      runMs: known.runMs,
      memoryShare: share,
      reservedShare,
      outputShare: limitBytes > 0 ? known.outputBytes / limitBytes : 0,
    };
  }
}
