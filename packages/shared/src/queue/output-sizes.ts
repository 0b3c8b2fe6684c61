/**
 * A worker's side of the room for outputs: how many bytes the outputs of each model have, and how many predictions run and have
 * not written theirs. reserved-outputs.ts reads both.
 */
import { shardOf } from '../predictions/ids.ts';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';

/** Each run has this weight in the mean of its model. */
const WEIGHT = 0.2;
/** A mean that has moved by less than this part is not written again before AGAIN_MS. */
const MOVED_PART = 0.1;
const PACE_MS = 1_000;
/** Written again after this long, since another Redis may stand in place of the one that knew. */
const AGAIN_MS = 60_000;
/** Outputs of a model that run are reported from this many bytes on: small ones need no room to speak of. */
const REPORTED_BYTES = 262_144;
const REPORT_MS = 100;
/** A report is repeated while the predictions run, well within RUN_REPORT_S. */
const REPEAT_MS = 5_000;

// KEYS: sizes of a shard. ARGV: model, bytes. Some 50 bytes for each model, so the script may run while Redis is full.
const WRITE = `#!lua flags=allow-oom
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])`;

// KEYS: runs of a shard. ARGV: worker and model, how many predictions run; none: nothing is left to report.
const REPORT = `#!lua flags=allow-oom
if ARGV[2] == '0' then redis.call('HDEL', KEYS[1], ARGV[1])
else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. redis.call('TIME')[1]) end`;

interface Measured {
  bytes: number;
  written: number;
  writtenAt: number;
}

interface Running {
  count: number;
  reported: number;
  timer: NodeJS.Timeout | undefined;
}

export interface OutputSizesDeps {
  redis: Connection;
  keys: Keys;
  workerId: string;
  /** Monotonic, ms. */
  now?: () => number;
}

export class OutputSizes {
  readonly #deps: OutputSizesDeps;
  readonly #now: () => number;
  readonly #measured = new Map<string, Measured>();
  readonly #expected = new Map<string, number>();
  readonly #running = new Map<string, Running>();

  constructor(deps: OutputSizesDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? (() => performance.now());
  }

  /** Bytes that an output of the model is expected to have, until one is measured. */
  expect(model: string, bytes: number): void {
    this.#expected.set(model, bytes);
  }

  /** Mean bytes of an output of the model, or the expected bytes; 0 where neither is known. */
  of(model: string): number {
    return this.#measured.get(model)?.bytes ?? this.#expected.get(model) ?? 0;
  }

  /** A run of the model has made so many outputs, of so many bytes together. Writes to Redis now and then, and rejects never. */
  measured(model: string, outputs: number, bytes: number): void {
    if (outputs === 0) return;
    const mean = bytes / outputs;
    let one = this.#measured.get(model);
    if (one === undefined) {
      one = { bytes: mean, written: Number.NaN, writtenAt: Number.NEGATIVE_INFINITY };
      this.#measured.set(model, one);
    } else one.bytes += (mean - one.bytes) * WEIGHT;
    const sinceMs = this.#now() - one.writtenAt;
    if (sinceMs < PACE_MS) return;
    if (sinceMs < AGAIN_MS && Math.abs(one.bytes - one.written) <= one.written * MOVED_PART) return;
    one.written = one.bytes;
    one.writtenAt = this.#now();
    const { redis, keys } = this.#deps;
    // A write that failed is made up for by a later one.
    redis.eval(WRITE, 1, keys.outputSizes(shardOf(model)), model, Math.round(one.bytes)).catch(() => {});
  }

  /** So many predictions of the model begin to run, or end where `change` is negative. */
  running(model: string, change: number): void {
    let one = this.#running.get(model);
    if (one === undefined) {
      one = { count: 0, reported: 0, timer: undefined };
      this.#running.set(model, one);
    }
    one.count += change;
    if (one.timer === undefined && this.#differs(model, one)) this.#report(model, one);
  }

  /** No run is reported any more. */
  close(): void {
    for (const { timer } of this.#running.values()) clearTimeout(timer);
    this.#running.clear();
  }

  #reportedCount(model: string, { count }: Running): number {
    return count * this.of(model) >= REPORTED_BYTES ? count : 0;
  }

  #differs(model: string, one: Running): boolean {
    return this.#reportedCount(model, one) !== one.reported;
  }

  #report(model: string, one: Running): void {
    const { redis, keys, workerId } = this.#deps;
    one.reported = this.#reportedCount(model, one);
    redis.eval(REPORT, 1, keys.outputRuns(shardOf(model)), `${workerId} ${model}`, one.reported).catch(() => {});
    one.timer = setTimeout(() => {
      if (this.#differs(model, one)) return this.#report(model, one);
      one.timer = undefined;
      if (one.reported === 0) return;
      one.timer = setTimeout(() => this.#report(model, one), REPEAT_MS).unref();
    }, REPORT_MS).unref();
  }
}
