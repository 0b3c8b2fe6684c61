/** Frees memory of the queue Redis before admission refuses new work. Drops states that the ledger also has, large states first. */

import { RecordedStates } from '@millrace/shared/live/recorded-states';
import { SHARDS } from '@millrace/shared/predictions/ids';
import { readPending, reservedShares } from '@millrace/shared/queue/reserved-outputs';
import { type MemoryUse, memoryUse } from '@millrace/shared/redis/memory-use';
import type { WorkerContext } from '../operations/worker-context.ts';

const LOOK_EVERY_MS = 500;
/** States are dropped above this part of MAX_MEMORY_SHARE. Admission refuses new work only when dropping was not enough. */
const TIGHT_PART = 0.7;
/** Below this part of the tight share nothing is read of the queues: all recorded states together have less memory. */
const LITTLE_PART = 0.1;
/** States of a shard that are dropped before the next measurement of memory. */
const DROPPED_AT_ONCE = 8;

export interface Room {
  /** Whether memory is so short that Redis must not keep recorded states. */
  readonly tight: boolean;
}

export function startMakingRoom({ config, log, redis, keys, live, closers }: WorkerContext): Room {
  const states = new RecordedStates(redis, keys, live);
  const tightShare = (config.maxMemoryShare / 100) * TIGHT_PART;
  const room = { tight: false };
  let busy = false;
  let closed = false;

  async function makeRoom(): Promise<void> {
    const known = await memoryUse(redis, keys);
    if (known.servers.every(({ share }) => share < tightShare * LITTLE_PART)) {
      room.tight = false;
      return;
    }
    // Pending outputs also need memory, and admission reserves memory for these outputs.
    const pending = await readPending(redis, keys);
    for (let shard = 0, left = SHARDS, use: MemoryUse = known; left > 0 && !closed; shard = (shard + 1) % SHARDS) {
      const reserved = reservedShares({ ...use, pending });
      const tight = use.servers.map(({ share }, at) => share + (reserved[at] ?? 0) >= tightShare);
      room.tight = tight.includes(true);
      if (!room.tight) return;
      const dropped = tight[use.serverOf[shard] ?? 0] ? await states.drop(shard, DROPPED_AT_ONCE) : 0;
      if (dropped > 0) use = await memoryUse(redis, keys);
      // Ends after a round through all shards without a dropped state.
      left = dropped > 0 ? SHARDS : left - 1;
    }
  }

  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    makeRoom()
      .catch((error) => log.debug({ err: error }, 'memory of the queue Redis cannot be freed'))
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
