/** Derives the readiness of a process from the states of its parts. */

/** Parts without which a process still serves, but slower. */
const OPTIONAL: ReadonlySet<string> = new Set(['cache']);

export interface Verdict {
  /** HTTP status of /readyz. */
  code: 200 | 503;
  status: 'ready' | 'degraded' | 'not_ready';
}

/**
 * `parts` has `ok` or a sentence about the fault for each part. `impaired` has a sentence for each fault that leaves the process
 * in service, such as a model that cannot be loaded.
 */
export function verdictOf(parts: Readonly<Record<string, 'ok' | string>>, impaired: readonly string[] = []): Verdict {
  const faulty = Object.entries(parts).filter(([, state]) => state !== 'ok');
  if (faulty.length === 0 && impaired.length === 0) return { code: 200, status: 'ready' };
  return faulty.every(([name]) => OPTIONAL.has(name))
    ? { code: 200, status: 'degraded' }
    : { code: 503, status: 'not_ready' };
}
