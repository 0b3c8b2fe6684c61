/**
 * Writes the tasks of open promises into their live states while a process of 0.1.0 runs: a worker of 0.1.0 cannot read a name of the ledger,
 * and the prediction would fail after MAX_ATTEMPTS. Every worker does so, because a process of 0.1.0 may hold the lock of the reconciler.
 */
import type { OpenPromise } from '@millrace/shared/ledger/ledger';
import { ledgerTask } from '@millrace/shared/predictions/ledger-task';
import { anOlderProcessRuns } from '@millrace/shared/queue/bytes-support';
import { partsOf } from './ends.ts';
import type { ReconcilerDeps } from './reconciler-deps.ts';

const PAGE = 1_000;
/** Promises whose tasks are read and written together, and the bytes of these tasks. */
const [PART, PART_BYTES] = [64, 1_048_576];

export type WriteTextsDeps = Pick<ReconcilerDeps, 'redis' | 'keys' | 'live' | 'openPromises' | 'readTasks' | 'log'>;

/** Resolves when no open promise has a name of the ledger in its live state, or at once while no process of an older version runs. */
export async function writeTexts(deps: WriteTextsDeps, isClosed: () => boolean): Promise<void> {
  const { redis, keys, openPromises, log } = deps;
  // A user of Redis that may not count subscribers has no names of the ledger: the API writes tasks as text.
  if (!(await anOlderProcessRuns(redis, keys).catch(() => false))) return;
  let written = 0;
  for (let after: string | undefined; !isClosed(); ) {
    const page = { olderThanMs: 0, limit: PAGE, large: true };
    const rows = await openPromises(after === undefined ? page : { ...page, after });
    written += await writePage(deps, rows);
    if (rows.length < PAGE) break;
    after = rows.at(-1)?.id;
  }
  if (written > 0) log.warn({ written }, 'a process of an earlier version runs: large inputs were written to Redis');
}

/** Returns the number of written tasks. */
async function writePage(deps: WriteTextsDeps, rows: readonly OpenPromise[]): Promise<number> {
  const { live, readTasks } = deps;
  const sizes = await live.sizes(rows.map(({ id }) => id));
  const named = rows.flatMap(({ id, taskBytes }, at) => {
    const [size = 0, bytes] = [sizes[at], taskBytes ?? 0];
    // A state with the whole task is longer than the task.
    return size > 0 && size < bytes ? [{ id, bytes }] : [];
  });
  let written = 0;
  for (const part of partsOf(named, PART, PART_BYTES)) {
    const texts = await readTasks(part.map(({ id }) => id));
    for (const { id, bytes } of part) {
      const text = texts.get(id);
      if (text && (await live.writeTask(id, { name: ledgerTask(bytes), text }))) written += 1;
    }
  }
  return written;
}
