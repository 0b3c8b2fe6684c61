/**
 * Keeps the load of each model's queue and the memory of Redis for admission. Refreshed in the background, outside the hot
 * path.
 */

import type { LiveStore, QueueCounts } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { shardOf } from '@millrace/shared/predictions/ids';
import type { QueueMemory } from '@millrace/shared/queue/reserved-outputs';
import type { ServerMemory } from '@millrace/shared/redis/memory-use';
import { DrainRate, enteredOf, type Load, waitingOf } from './admission.ts';

/**
 * The greatest age of the counts. Submissions return new counts, but while all predictions are refused there are no
 * submissions, and the queue drains. With a limit of 500 ms a short queue was empty for a third of the time under overload.
 */
const REFRESH_MS = 50;
/**
 * How often the memory is read. From TIGHT_SHARE on the shorter interval applies: a few large outputs fill the memory within a
 * second.
 */
const MEMORY_MS = 1_000;
const TIGHT_MEMORY_MS = 100;
const TIGHT_SHARE = 0.35;
const NOTHING: QueueCounts = { entered: {}, left: {} };

interface Known {
  counts: QueueCounts;
  rate: DrainRate;
  /** Milliseconds from the take of a prediction to its end: a moving mean in which each new run has a weight of 0.1. */
  runMs: number | undefined;
  shard: number;
  /** Mean bytes of an output, measured or expected; 0 while both are unknown. */
  outputBytes: number;
  /** The pending outputs and the entered predictions at the last read of the memory; undefined before the first read. */
  lastRead: { outputs: number; entered: number } | undefined;
  /**
   * Predictions that this process admitted since the last read, with followers and with predictions that Redis does not have
   * yet.
   */
  admitted: number;
  /** The reserved bytes of the pending outputs of this model. */
  reservedBytes: number;
  at: number;
  refreshing: boolean;
}

/** The weight of older measurements of freed memory halves in this time. */
const FREED_HALF_LIFE_MS = 2_000;

interface Server extends ServerMemory {
  /** The share that became free per millisecond, weighted by age; undefined before the second read. */
  freedPerMs: number | undefined;
  readAt: number;
  /** The bytes of the pending outputs in the shards of this server. */
  reservedBytes: number;
}

const UNKNOWN_SERVER: Server = { share: 0, limitBytes: 0, reservedBytes: 0, freedPerMs: undefined, readAt: 0 };

/** The measured server with the rate at which its memory became free since `before`, the same server at the last read. */
function measured(server: ServerMemory, before: Server | undefined, nowMs: number): Server {
  const read = { ...server, reservedBytes: 0, freedPerMs: before?.freedPerMs, readAt: nowMs };
  const sinceMs = before === undefined || before.readAt === 0 ? 0 : nowMs - before.readAt;
  if (before === undefined || sinceMs <= 0) return read;
  const perMs = (before.share - server.share) / sinceMs;
  const keep = before.freedPerMs === undefined ? 0 : 0.5 ** (sinceMs / FREED_HALF_LIFE_MS);
  return { ...read, freedPerMs: (before.freedPerMs ?? 0) * keep + perMs * (1 - keep) };
}

const reservedShareOf = ({ reservedBytes, limitBytes }: Server): number =>
  limitBytes > 0 ? reservedBytes / limitBytes : 0;

export interface QueueLoadDeps {
  live: Pick<LiveStore, 'counts'>;
  readMemory(): Promise<QueueMemory>;
  /** Publishes the expected bytes of an output of the model to all processes. */
  expectOutput(model: string, bytes: number): Promise<void>;
}

export class QueueLoad {
  readonly #live: Pick<LiveStore, 'counts'>;
  readonly #readMemory: () => Promise<QueueMemory>;
  readonly #known = new Map<string, Known>();
  readonly #expectOutput: (model: string, bytes: number) => Promise<void>;
  #servers: Server[] = [{ ...UNKNOWN_SERVER }];
  /** Stands for a server that the last read of the memory did not contain. */
  readonly #unknownServer: Server = { ...UNKNOWN_SERVER };
  /** The index in #servers of the server of each shard. */
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
        lastRead: undefined,
        admitted: 0,
        reservedBytes: 0,
        at: 0,
        refreshing: false,
      };
      this.#known.set(model, known);
    }
    return known;
  }

  /** Takes counts that came with the reply to another command. */
  observe(model: string, counts: QueueCounts, nowMs: number): void {
    const known = this.#of(model);
    known.counts = counts;
    known.at = nowMs;
    known.rate.observe(counts, nowMs);
    if (known.outputBytes > 0) this.#reserve(known);
  }

  /**
   * Between two reads of the memory the reserved bytes only grow. A prediction that left the queue since the last read is
   * running, or the last read does not contain the output of the prediction.
   */
  #reserve(known: Known): void {
    const { lastRead, counts, admitted } = known;
    const since = lastRead ? enteredOf(counts) - lastRead.entered : waitingOf(counts);
    const outputs = (lastRead?.outputs ?? 0) + Math.max(0, since, admitted);
    const bytes = outputs * known.outputBytes;
    this.#server(known).reservedBytes += bytes - known.reservedBytes;
    known.reservedBytes = bytes;
  }

  #server({ shard }: Known): Server {
    return this.#servers[this.#serverOf[shard] ?? 0] ?? this.#unknownServer;
  }

  /** Takes the memory and the pending outputs of all models, also of models that only other processes serve. */
  #observeMemory({ servers, serverOf, pending }: QueueMemory, admitted: ReadonlyMap<Known, number>): void {
    if (servers.length === 0) return;
    const before = servers.length === this.#servers.length ? this.#servers : [];
    this.#servers = servers.map((server, at) => measured(server, before[at], sharedNow()));
    this.#serverOf = serverOf;
    for (const known of this.#known.values()) {
      known.admitted -= admitted.get(known) ?? 0;
      known.lastRead = undefined;
      known.outputBytes = 0;
      known.reservedBytes = 0;
    }
    for (const { model, entered, outputs, bytes } of pending) {
      const known = this.#of(model);
      known.lastRead = { outputs, entered };
      known.outputBytes = bytes;
      this.#reserve(known);
    }
  }

  /** Reserves room for the output of an admitted prediction. */
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

  /** Takes the milliseconds from the take of a prediction of the model to its end. */
  observeRun(model: string, ms: number): void {
    const known = this.#of(model);
    known.runMs = known.runMs === undefined ? ms : known.runMs + (ms - known.runMs) / 10;
  }

  #readMemoryOnce(): void {
    const memory = this.#memory;
    if (memory.refreshing) return;
    memory.refreshing = true;
    clearTimeout(memory.timer);
    const admitted = new Map([...this.#known.values()].map((one) => [one, one.admitted]));
    this.#readMemory()
      .then((read) => {
        this.#observeMemory(read, admitted);
        this.#scheduleRead();
      })
      .catch(() => {})
      .finally(() => {
        memory.at = sharedNow();
        memory.refreshing = false;
      });
  }

  /**
   * Reads again while memory is reserved or short. The next request may come much later, and old numbers must not refuse the
   * request.
   */
  #scheduleRead(): void {
    const isTight = this.#servers.some((server) => server.share + reservedShareOf(server) >= TIGHT_SHARE);
    if (!isTight && this.#servers.every(({ reservedBytes }) => reservedBytes === 0)) return;
    this.#memory.timer = setTimeout(() => this.#readMemoryOnce(), isTight ? TIGHT_MEMORY_MS : MEMORY_MS).unref();
  }

  /** The used share of the memory of the fullest server, without I/O. Starts a read in the background when the share is old. */
  memoryShare(nowMs: number): number {
    if (Math.abs(nowMs - this.#memory.at) > MEMORY_MS) this.#readMemoryOnce();
    return Math.max(0, ...this.#servers.map(({ share }) => share));
  }

  /** Returns the load without I/O. Starts a refresh in the background when the load is old. */
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
    if (Math.abs(nowMs - memory.at) > everyMs) this.#readMemoryOnce();
    return {
      counts: known.counts,
      perMs: known.rate.perMs,
      runMs: known.runMs,
      memoryShare: share,
      freedPerMs: server.freedPerMs,
      reservedShare,
      outputShare: limitBytes > 0 ? known.outputBytes / limitBytes : 0,
    };
  }
}
