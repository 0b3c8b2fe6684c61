/**
 * Reports to Redis the sizes of outputs that a worker measured, and the number of running predictions whose outputs are not written
 * yet. Admission reserves memory for these outputs: see reserved-outputs.ts, which reads the reports.
 */
import { shardOf } from '../predictions/ids.ts';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';

/** The weight of each run in the mean of its model. */
const WEIGHT = 0.2;
/** A mean that has changed by less than this fraction is not written again before REWRITE_MS. */
const CHANGED_PART = 0.1;
const MIN_PAUSE_MS = 1_000;
/** An unchanged mean is written again after this time, because Redis may have lost the mean in a failover. */
const REWRITE_MS = 60_000;
/** The running predictions of a model are reported when the total size of their outputs reaches this limit. Smaller outputs need no reservation. */
const REPORTED_BYTES = 262_144;
const REPORT_MS = 100;
/** A report is repeated while the predictions run, well within RUN_REPORT_S. */
const REPEAT_MS = 5_000;

// KEYS: sizes of a shard. ARGV: model, bytes. Each model takes about 50 bytes, so the script may run while Redis is full.
const WRITE = `#!lua flags=allow-oom
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])`;

// KEYS: runs of a shard. ARGV: worker and model, number of running predictions; 0 removes the report.
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
  /** A monotonic clock, in milliseconds. */
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

  /** Sets the expected bytes of an output of the model, until an output is measured. */
  expect(model: string, bytes: number): void {
    this.#expected.set(model, bytes);
  }

  /** Returns the mean bytes of an output of the model, or the expected bytes; 0 when neither is known. */
  of(model: string): number {
    return this.#measured.get(model)?.bytes ?? this.#expected.get(model) ?? 0;
  }

  /** Records the number and the total size of the outputs of a run. Writes to Redis at intervals, and never throws. */
  measured(model: string, outputs: number, bytes: number): void {
    if (outputs === 0) return;
    const mean = bytes / outputs;
    let size = this.#measured.get(model);
    if (size === undefined) {
      size = { bytes: mean, written: Number.NaN, writtenAt: Number.NEGATIVE_INFINITY };
      this.#measured.set(model, size);
    } else size.bytes += (mean - size.bytes) * WEIGHT;
    const sinceMs = this.#now() - size.writtenAt;
    if (sinceMs < MIN_PAUSE_MS) return;
    if (sinceMs < REWRITE_MS && Math.abs(size.bytes - size.written) <= size.written * CHANGED_PART) return;
    size.written = size.bytes;
    size.writtenAt = this.#now();
    const { redis, keys } = this.#deps;
    // A later write replaces a failed write.
    redis.eval(WRITE, 1, keys.outputSizes(shardOf(model)), model, Math.round(size.bytes)).catch(() => {});
  }

  /** Adds `change` to the number of running predictions of the model; `change` is negative when predictions end. */
  running(model: string, change: number): void {
    let runs = this.#running.get(model);
    if (runs === undefined) {
      runs = { count: 0, reported: 0, timer: undefined };
      this.#running.set(model, runs);
    }
    runs.count += change;
    if (runs.timer === undefined && this.#differs(model, runs)) this.#report(model, runs);
  }

  /** Stops all reports. */
  close(): void {
    for (const { timer } of this.#running.values()) clearTimeout(timer);
    this.#running.clear();
  }

  #reportedCount(model: string, { count }: Running): number {
    return count * this.of(model) >= REPORTED_BYTES ? count : 0;
  }

  #differs(model: string, runs: Running): boolean {
    return this.#reportedCount(model, runs) !== runs.reported;
  }

  #report(model: string, runs: Running): void {
    const { redis, keys, workerId } = this.#deps;
    runs.reported = this.#reportedCount(model, runs);
    redis.eval(REPORT, 1, keys.outputRuns(shardOf(model)), `${workerId} ${model}`, runs.reported).catch(() => {});
    runs.timer = setTimeout(() => {
      if (this.#differs(model, runs)) return this.#report(model, runs);
      runs.timer = undefined;
      if (runs.reported === 0) return;
      runs.timer = setTimeout(() => this.#report(model, runs), REPEAT_MS).unref();
    }, REPORT_MS).unref();
  }
}
