/** Deletes expired files, and objects of the file store that no file has: of failed uploads, and of deleted or replaced files. */
import type { FileStore } from '@millrace/shared/files/file-store';
import { claimObjects, deleteExpired, forgetObjects } from '@millrace/shared/files/file-table';
import { openFileStore } from '@millrace/shared/files/open-file-store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Pool } from '@millrace/shared/postgres/db';
import type { WorkerContext } from '../operations/worker-context.ts';

const AT_ONCE = 200;
/** Objects that are deleted at the same time. */
const DELETIONS = 8;
/** A pass of the sweep for this many passes of the reconciler. */
const RECONCILER_PASSES = 15;

export interface SweepParams {
  db: Pool;
  store: FileStore;
  nowMs: number;
  /** Called with the first failure of the file store. The pass then ends, and a later pass tries again. */
  onError(error: unknown): void;
}

/** Returns the number of deleted objects. Rejects when Postgres fails. */
export async function sweepFiles({ db, store, nowMs, onError }: SweepParams): Promise<number> {
  while ((await deleteExpired(db, nowMs, AT_ONCE)) === AT_ONCE);
  let swept = 0;
  for (;;) {
    const dead = await claimObjects(db, nowMs, AT_ONCE);
    const deleted: string[] = [];
    let failure: unknown;
    const queue = dead.values();
    const work = async () => {
      for (const { object, unfinished } of queue) {
        if (failure !== undefined) return;
        await store.remove(object, unfinished).then(
          () => deleted.push(object),
          (error: unknown) => {
            failure ??= error;
          },
        );
      }
    };
    await Promise.all(Array.from({ length: DELETIONS }, work));
    await forgetObjects(db, deleted);
    swept += deleted.length;
    if (failure !== undefined) onError(failure);
    if (failure !== undefined || dead.length < AT_ONCE) return swept;
  }
}

/** Sweeps now and then, one pass at a time, and never while the clock of this process is wrong. */
export async function startFileSweep({ config, db, log, closers, clock }: WorkerContext): Promise<void> {
  const store = await openFileStore(config);
  if (store === undefined) return;
  let running: Promise<void> | undefined;
  const pass = async () => {
    const onError = (error: unknown) => log.warn({ err: error }, 'objects of the file store cannot be deleted');
    await sweepFiles({ db, store, nowMs: sharedNow(), onError }).catch((error) =>
      log.warn({ err: error }, 'the files cannot be swept'),
    );
    running = undefined;
  };
  const timer = setInterval(() => {
    if (clock.fault() === undefined) running ??= pass();
  }, config.reconcileMs * RECONCILER_PASSES);
  closers.push('file sweep', async () => {
    clearInterval(timer);
    await running;
  });
}
