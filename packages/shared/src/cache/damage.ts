/** Counts the damaged values that a process finds on the cache Redis, and logs them without flooding the log. */
import type { Logger } from 'pino';

const KINDS = ['result', 'query'] as const;
/** `result`: a cached result; `query`: a cached query, such as the registry. */
export type DamagedKind = (typeof KINDS)[number];

const SILENCE_MS = 60_000;

export class CacheDamage {
  readonly #log: Pick<Logger, 'warn'>;
  readonly #counts = new Map<DamagedKind, number>(KINDS.map((kind) => [kind, 0]));
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(log: Pick<Logger, 'warn'>) {
    this.#log = log;
  }

  /** The number of damaged values of each kind that this process has found. */
  get counts(): ReadonlyMap<DamagedKind, number> {
    return this.#counts;
  }

  found(kind: DamagedKind): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    if (performance.now() - this.#loggedAt < SILENCE_MS) return;
    this.#loggedAt = performance.now();
    this.#log.warn(
      { kind, damaged: Object.fromEntries(this.#counts) },
      'the cache Redis (CACHE_REDIS_URL) holds damaged values: each counts as a miss and is replaced; check the memory of the server, and check for other programs that write to this Redis',
    );
  }
}
