/** Opens the writer of promises, which commits the promises of many callers together, and notes its last fault. */
import { Batcher } from '@millrace/shared/batching/batcher';
import { insertEachPromise, type PromiseRow } from '@millrace/shared/ledger/ledger';
import type { Closers } from '@millrace/shared/process/closers';
import type { Config } from '@millrace/shared/process/config';
import { withTimeout } from '@millrace/shared/process/timeout';
import type { Stores } from '../stores/open-stores.ts';

const PROMISES_PER_COMMIT = 500;
const PROMISES_WAITING = 50_000;
/** The largest bytes of tasks in one commit of promises, and in all promises that wait for a commit. */
const PROMISE_BYTES = 4 * 1_048_576;
const PROMISE_BYTES_WAITING = 256 * 1_048_576;

/** The last call, if the call failed. */
export interface LastFault {
  last: { message: string; at: number } | undefined;
}

/** A fault that is older says nothing about the next call. */
const FAULT_MS = 60_000;

export const faultOf = ({ last }: LastFault): string | undefined =>
  last !== undefined && performance.now() - last.at < FAULT_MS ? last.message : undefined;

async function noted<T>(fault: LastFault, call: Promise<T>): Promise<T> {
  try {
    const result = await call;
    fault.last = undefined;
    return result;
  } catch (error) {
    fault.last = { message: error instanceof Error ? error.message : String(error), at: performance.now() };
    throw error;
  }
}

export interface OpenPromisesParams {
  stores: Pick<Stores, 'db' | 'metrics'>;
  config: Pick<Config, 'storeTimeoutMs'>;
  closers: Closers;
  promiseFaults: LastFault;
}

export function openPromises(params: OpenPromisesParams): Batcher<PromiseRow, Error | undefined> {
  const { stores, config, closers, promiseFaults } = params;
  const promises = new Batcher<PromiseRow, Error | undefined>({
    // The pool may have to open a connection first, which has its own timeout.
    run: (rows) =>
      noted(
        promiseFaults,
        stores.metrics.timed(
          'postgres',
          'commit',
          withTimeout(config.storeTimeoutMs + 200, insertEachPromise(stores.db, rows), 'The commit of promises'),
        ),
      ),
    defer: (start) => start(),
    maxItems: PROMISES_PER_COMMIT,
    maxWaiting: PROMISES_WAITING,
    bytesOf: ({ task }) => task.length,
    maxBytes: PROMISE_BYTES,
    maxWaitingBytes: PROMISE_BYTES_WAITING,
    concurrency: 2,
    // Otherwise each waiting commit would wait until its own timeout.
    failsAll: () => true,
  });
  closers.push('promises', () => promises.drain());
  return promises;
}
