/**
 * Keeps the recent health of delivery lanes. The health selects the slot pool of a lane, so that healthy lanes never wait
 * behind lanes that do not respond.
 */

/** `prompt`: the last attempt succeeded quickly. `suspect`: the attempt failed or was slow. `stuck`: the attempt was very slow. */
export type PoolName = 'prompt' | 'suspect' | 'stuck';
export const POOL_NAMES: readonly PoolName[] = ['prompt', 'suspect', 'stuck'];

export interface LaneIdentity {
  name: string;
  /**
   * Lanes that probably share their health, such as the URLs of one host that predictions named. A lane without a history
   * has the health of its group. Without groups, a dead host with another URL for each prediction would look new each time.
   */
  group?: string | undefined;
}

/** Names in memory. The names that were reported longest ago are dropped first and start again as `prompt`. */
const MAX_NAMES = 10_000;

export class LaneHealth {
  readonly #pools = new Map<string, PoolName>();

  poolOf({ name, group }: LaneIdentity): PoolName {
    return this.#pools.get(name) ?? (group === undefined ? undefined : this.#pools.get(group)) ?? 'prompt';
  }

  report({ name, group }: LaneIdentity, pool: PoolName): void {
    // A lane with a prompt attempt no longer takes the health of its group.
    this.#set(name, pool, group !== undefined);
    if (group !== undefined) this.#set(group, pool, false);
  }

  #set(name: string, pool: PoolName, keepPrompt: boolean): void {
    this.#pools.delete(name);
    if (pool === 'prompt' && !keepPrompt) return;
    this.#pools.set(name, pool);
    for (const oldest of this.#pools.keys()) {
      if (this.#pools.size <= MAX_NAMES) break;
      this.#pools.delete(oldest);
    }
  }
}
