/** Which sessions an engine gives up so that others have room. Pure. */

export interface LoadedSize {
  /** Resident bytes that loading it took. */
  bytes: number;
  /** Counts up with use. */
  usedAt: number;
}

/**
 * The sessions to unload, least used first, until what is held is under half the budget: the other half is for what
 * runs take. `heldBytes` is what all sessions hold together.
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
