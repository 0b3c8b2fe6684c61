/** Makes room in the queue Redis before new work is refused: what the ledger has too goes first, large states above all. */

import { RecordedStates } from '@millrace/shared/live/recorded-states';
import { SHARDS } from '@millrace/shared/predictions/ids';
import { readQueueMemory, reservedShare } from '@millrace/shared/queue/output-sizes';
import { memoryShare } from '@millrace/shared/redis/connection';
import type { WorkerContext } from '../operations/worker-context.ts';

const LOOK_EVERY_MS = 500;
/** Room is made from this part of MAX_MEMORY_SHARE on: new work is refused only where this was not enough. */
const TIGHT_PART = 0.7;
/** States of a shard that are dropped before memory is looked at again. */
const DROPPED_AT_ONCE = 8;

export interface Room {
  /** Whether memory is so short that what is recorded is not to be kept. */
  readonly tight: boolean;
}

export function startMakingRoom({ config, log, redis, keys, live, closers }: WorkerContext): Room {
  const states = new RecordedStates(redis, keys, live);
  const tightShare = (config.maxMemoryShare / 100) * TIGHT_PART;
  const room = { tight: false };
  let busy = false;
  let closed = false;

  async function makeRoom(): Promise<void> {
    // What waits will need room too: admission refuses new work for its sake.
    const reserved = reservedShare(await readQueueMemory(redis, keys));
    for (let shard = 0, left = SHARDS; left > 0 && !closed; shard = (shard + 1) % SHARDS) {
      room.tight = (await memoryShare(redis)) + reserved >= tightShare;
      if (!room.tight) return;
      const dropped = await states.drop(shard, DROPPED_AT_ONCE);
      // Once around without anything to drop.
      left = dropped > 0 ? SHARDS : left - 1;
    }
  }

  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    makeRoom()
      .catch((error) => log.debug({ err: error }, 'no room can be made in the queue Redis'))
      .finally(() => {
        busy = false;
      });
  }, LOOK_EVERY_MS);
  closers.push('room', () => {
    closed = true;
    clearInterval(timer);
  });
  return room;
}
