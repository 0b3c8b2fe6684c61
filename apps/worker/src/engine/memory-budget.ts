/** Selects the sessions that an engine unloads to make room for another session. A pure function. */

export interface LoadedSize {
  /** Resident bytes that the load of the session added. */
  bytes: number;
  /** Increases with each use. */
  usedAt: number;
}

/**
 * Returns the sessions to unload, least recently used first, until the loaded sessions take at most half the budget. The other half is
 * for the memory of runs. `heldBytes` is the memory of all sessions together.
 */
export function toUnload(
  sessions: readonly (readonly [string, LoadedSize])[],
  budgetBytes: number,
  heldBytes: number,
): string[] {
  let held = heldBytes;
  const out: string[] = [];
  for (const [key, { bytes }] of [...sessions].sort(([, x], [, y]) => x.usedAt - y.usedAt)) {
    if (held <= budgetBytes / 2) break;
    held -= bytes;
    out.push(key);
  }
  return out;
}
