/**
 * Writes the long outputs of promises into the ledger, so that these outputs do not pass through the append-only file of the queue
 * Redis. A worker that cannot write an output to the ledger safely and in time writes the output to the live state.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { outputChecksum } from '@millrace/shared/cache/named-result';
import { mayStageOutput, STAGED_OUTPUT_BYTES, stageOutput } from '@millrace/shared/ledger/staged-outputs';
import { spanOf } from '@millrace/shared/live/ledger-stream';
import { openingOf } from '@millrace/shared/live/state';
import type { Finished } from '@millrace/shared/live/store';
import type { Db } from '@millrace/shared/postgres/db';
import { shardOfId } from '@millrace/shared/predictions/ids';
import { piecesOf, textBytes } from '@millrace/shared/predictions/long-text';
import type { LedgerOutput } from '@millrace/shared/predictions/prediction-state';
import { allReadOutputs } from '@millrace/shared/queue/output-readers';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Logger } from 'pino';

/** The most connections of the worker's pool that write outputs: the recorder needs the others. */
const AT_ONCE = 2;
/** The most bytes of outputs on their way to Postgres. A larger output is written alone. */
const BYTES_AT_ONCE = 64 * 1_048_576;
/** The most time of one output, with its wait. */
const LIMIT_MS = 5_000;
/** While the recorder is late, outputs must not gather in open rows. */
const LATE_MS = 2_000;
/** After a failure no output is written to Postgres for this time. */
const REST_MS = 5_000;

export interface LedgerOutputsDeps {
  redis: Connection;
  keys: Keys;
  db: Db;
  log: Logger;
  /** Receives the store of each output of STAGED_OUTPUT_BYTES or more. */
  onPlaced(store: 'postgres' | 'queue'): void;
}

export class LedgerOutputs {
  readonly #deps: LedgerOutputsDeps;
  #writes = 0;
  #bytes = 0;
  #restsUntil = Number.NEGATIVE_INFINITY;

  constructor(deps: LedgerOutputsDeps) {
    this.#deps = deps;
  }

  /** See ToLedger. Resolves after LIMIT_MS at the latest. A statement that ends later can still stage the output: the end removes a staged output. */
  async write(item: Finished): Promise<LedgerOutput | undefined> {
    const bytes = textBytes(item.result);
    if (bytes < STAGED_OUTPUT_BYTES) return undefined;
    const output = await this.#writeInTime(item, bytes);
    this.#deps.onPlaced(output === undefined ? 'queue' : 'postgres');
    return output;
  }

  async #writeInTime(item: Finished, bytes: number): Promise<LedgerOutput | undefined> {
    const { state } = item;
    const isBusy = this.#writes >= AT_ONCE || (this.#writes > 0 && this.#bytes + bytes > BYTES_AT_ONCE);
    if (state === undefined || isBusy || performance.now() < this.#restsUntil) return undefined;
    const ended = new AbortController();
    const writing = this.#counted(bytes, () => this.#write(item, state));
    const late = delay(LIMIT_MS, TIMED_OUT, { signal: ended.signal, ref: false });
    late.catch(() => {});
    try {
      const output = await Promise.race([writing, late]);
      if (output === TIMED_OUT) throw new Error(`an output was not written within ${LIMIT_MS / 1_000} s`);
      return output;
    } catch (error) {
      writing.catch(() => {});
      this.#restsUntil = performance.now() + REST_MS;
      this.#deps.log.warn(
        { err: error, id: item.id },
        'an output cannot be written to the ledger: Redis gets the output',
      );
      return undefined;
    } finally {
      ended.abort();
    }
  }

  async #counted<T>(bytes: number, write: () => Promise<T>): Promise<T> {
    this.#writes += 1;
    this.#bytes += bytes;
    try {
      return await write();
    } finally {
      this.#writes -= 1;
      this.#bytes -= bytes;
    }
  }

  async #write({ id, attempt, result }: Finished, state: string): Promise<LedgerOutput | undefined> {
    const { redis, keys, db } = this.#deps;
    const run = { id, attempt, opening: openingOf(state) };
    if (!(await mayStageOutput(db, run))) return undefined;
    const output = Buffer.concat(piecesOf(result));
    // Postgres stores no text with this byte.
    if (output.includes(0)) return undefined;
    const checksum = await outputChecksum({ pieces: [output] });
    const shard = shardOfId(id);
    const [areRead, { lagMs }] = await Promise.all([allReadOutputs(redis, keys), spanOf(redis, keys, shard)]);
    if (!areRead || lagMs > LATE_MS) return undefined;
    return (await stageOutput(db, run, output)) ? { bytes: output.length, checksum } : undefined;
  }
}

const TIMED_OUT = Symbol('timed out');
