/** Logs an endpoint when its attempts begin to fail, and when an attempt succeeds again. The host and the path of its URL are the tenant's. */
import type { Logger } from 'pino';
import type { AttemptRecord } from './record-outcome.ts';

/** Endpoints in memory. Beyond this number the oldest entry is dropped, and its endpoint is logged once more. */
const KNOWN_MAX = 10_000;

export class EndpointLog {
  readonly #log: Pick<Logger, 'warn' | 'info'>;
  /** When the attempts of each failing endpoint began to fail. */
  readonly #failingSince = new Map<string, number>();

  constructor(log: Pick<Logger, 'warn' | 'info'>) {
    this.#log = log;
  }

  attempt({ endpoint, tenant, delivery, status, replyStatus, error, at }: AttemptRecord): void {
    if (endpoint === null) return;
    const since = this.#failingSince.get(endpoint);
    if (status === 'delivered') {
      if (since === undefined) return;
      this.#failingSince.delete(endpoint);
      this.#log.info({ endpoint, tenant, seconds: Math.round((at - since) / 1_000) }, 'endpoint is well again');
    } else if (since === undefined) {
      const [oldest] = this.#failingSince.keys();
      if (this.#failingSince.size >= KNOWN_MAX && oldest !== undefined) this.#failingSince.delete(oldest);
      this.#failingSince.set(endpoint, at);
      this.#log.warn({ endpoint, tenant, delivery, outcome: replyStatus ?? error }, 'endpoint fails');
    }
  }
}
