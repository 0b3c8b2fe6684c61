/** How lanes did lately. It decides among whom a lane waits, so that those that answer never wait for those that do not. */

/** `prompt`: its last attempt went well and quickly; `suspect`: it failed or was slow; `stuck`: it was very slow. */
export type Pool = 'prompt' | 'suspect' | 'stuck';
export const POOLS: readonly Pool[] = ['prompt', 'suspect', 'stuck'];

export interface Named {
  name: string;
  /**
   * Lanes that likely share their fate, such as addresses of one host that predictions named: a lane that has done
   * nothing yet stands as its group does. Else a dead host with an address for each prediction would be new each time.
   */
  group?: string | undefined;
}

/** Names that are remembered; those told of the longest ago are forgotten first, and begin as the prompt do. */
const KEPT = 10_000;

export class LaneHealth {
  readonly #of = new Map<string, Pool>();

  of({ name, group }: Named): Pool {
    return this.#of.get(name) ?? (group === undefined ? undefined : this.#of.get(group)) ?? 'prompt';
  }

  tell({ name, group }: Named, pool: Pool): void {
    // Of a group one that is known to be prompt is no longer judged by the others.
    this.#set(name, pool, group !== undefined);
    if (group !== undefined) this.#set(group, pool, false);
  }

  #set(name: string, pool: Pool, keepPrompt: boolean): void {
    this.#of.delete(name);
    if (pool === 'prompt' && !keepPrompt) return;
    this.#of.set(name, pool);
    for (const oldest of this.#of.keys()) {
      if (this.#of.size <= KEPT) break;
      this.#of.delete(oldest);
    }
  }
}
