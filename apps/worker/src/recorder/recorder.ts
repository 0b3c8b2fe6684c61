/**
 * Carries terminal states from Redis into the ledger: many rows per statement, and webhook deliveries in the same transaction.
 * An entry leaves its stream after its rows were committed or set aside. While Postgres is unreachable, the stream waits. Rows
 * and bytes bound each read and each statement. A second loop writes large ends, and ends that Postgres cannot write, on their
 * own, so that other ends do not wait.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { writtenEnds } from '@millrace/shared/ledger/ledger';
import type { TerminalRow } from '@millrace/shared/ledger/ledger-rows';
import { isTerminal } from '@millrace/shared/predictions/prediction';
import { RETRY_DELAYS_MS, type RecorderDeps, type RecorderParts } from './recorder-deps.ts';
import { SetAside } from './set-aside.ts';
import { SetAsideRecorder } from './set-aside-recorder.ts';
import { StreamRecorder } from './stream-recorder.ts';

export type { RecorderDeps } from './recorder-deps.ts';

const RETRY_MS = 250;

export interface Recorder {
  /** Milliseconds since the last turn of the slower loop. A failed turn counts: a restart repairs no store. */
  stalledMs(): number;
  close(): Promise<void>;
}

export function startRecorder(deps: RecorderDeps): Recorder {
  const { reader, redis, keys, log } = deps;
  const closing = new AbortController();
  const { signal } = closing;
  const pause = (ms: number): Promise<void> => delay(ms, undefined, { signal }).catch(() => {});
  const parts: RecorderParts = {
    deps,
    setAside: new SetAside(redis, keys),
    writing: {
      record: deps.record,
      postgresResponds: deps.postgresResponds,
      closed: () => signal.aborted,
      log,
      async onWritten(recorded, rows) {
        const { applied, deliveries, refused } = recorded;
        deps.onRecorded(applied);
        deps.onEnded(writtenEnds(rows, recorded));
        if (deliveries.length > 0) await deps.onDeliveries(deliveries);
        if (refused.length > 0) await dropOverruled(deps, rows, refused);
      },
    },
    signal,
    pause,
    retryDelaysMs: deps.retryDelaysMs ?? RETRY_DELAYS_MS,
  };
  const setAsideEnds = new SetAsideRecorder(parts);
  const streams = new StreamRecorder(parts, () => setAsideEnds.wake());

  const turns = [performance.now(), performance.now()];
  async function repeat(loop: number, work: () => Promise<void>, failure: string): Promise<void> {
    while (!signal.aborted) {
      turns[loop] = performance.now();
      try {
        if (deps.isClockRight()) await work();
        else await pause(RETRY_MS);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Error && error.message.includes('NOGROUP')) streams.forgetGroups();
        else log.warn({ err: error }, failure);
        await pause(RETRY_MS);
      }
    }
  }

  const loops = Promise.all([
    repeat(0, () => streams.recordNext(), 'terminal states cannot be recorded'),
    repeat(1, () => setAsideEnds.recordNext(), 'ends that were set aside cannot be recorded'),
  ]);
  return {
    stalledMs: () => performance.now() - Math.min(...turns),
    async close() {
      closing.abort();
      // A blocked read returns within BLOCK_MS. A batch in progress is finished.
      reader.disconnect();
      await loops;
    },
  };
}

/**
 * Deletes live states that contradict the ledger. The ledger mostly refuses ends that are already recorded. After Redis has lost
 * its last moments, the ledger may have another end. The list, the feed and the webhooks show the end of the ledger, so a poll
 * of Redis must not return another end.
 */
async function dropOverruled(
  { live, findEnds, log }: RecorderDeps,
  rows: readonly TerminalRow[],
  refused: string[],
): Promise<void> {
  const ends = new Map((await findEnds(refused)).map((end) => [end.id, end]));
  const areRefused = new Set(refused);
  const overruled = rows.filter(({ id, opening, completedAt, ledgerOutput }) => {
    const end = ends.get(id);
    if (end && isTerminal(end.status)) return !(end.opening === opening && end.completedAt === completedAt);
    if (ledgerOutput === undefined || !areRefused.has(id)) return false;
    // A failover of Postgres can lose the output. Without its live state the reconciler restores the open promise.
    log.error({ id }, 'the ledger has lost the output of a prediction: the prediction is computed again');
    return true;
  });
  await live.drop(overruled);
}
