/** Derives the readiness of a process from the states of its parts. */

export interface Verdict {
  /** HTTP status of /readyz. */
  code: 200 | 503;
  status: 'ready' | 'degraded' | 'not_ready';
}

export interface VerdictParams {
  /** `ok` or a sentence about the fault, for each part. */
  parts: Readonly<Record<string, 'ok' | string>>;
  /** A sentence for each fault outside the parts that leaves the process in service, such as a model that cannot be loaded. */
  impaired?: readonly string[];
  /** Whether the process still does useful work without the faulty parts. A balancer removes a process that does not. */
  serves(isFaulty: (part: string) => boolean): boolean;
}

export function verdictOf({ parts, impaired = [], serves }: VerdictParams): Verdict {
  const faulty = new Set(Object.keys(parts).filter((name) => parts[name] !== 'ok'));
  if (faulty.size === 0 && impaired.length === 0) return { code: 200, status: 'ready' };
  return serves((part) => faulty.has(part)) ? { code: 200, status: 'degraded' } : { code: 503, status: 'not_ready' };
}
