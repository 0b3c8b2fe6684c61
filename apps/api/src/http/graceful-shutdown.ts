/**
 * A stop that fails no request. First this process says that it is leaving (/readyz, and `Connection: close` on every
 * answer) and serves on, so that balancers and clients go elsewhere by themselves; then those who wait for an
 * answer get theirs, or, when it takes too long, the promise of one; then the server closes.
 */
import type { Server } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;
const LEAD_MAX_MS = 2_000;

export interface DrainDeps {
  server: Server;
  /** Callers that wait for an answer now. */
  waiting(): number;
  /** Sends those who still wait home with what is known. */
  release(): Promise<void> | void;
  shutdownMs: number;
}

export class Draining {
  #leaving = false;

  get leaving(): boolean {
    return this.#leaving;
  }

  /** Resolves when the server can be closed: at the latest after half of `shutdownMs`. */
  async run({ server, waiting, release, shutdownMs }: DrainDeps): Promise<void> {
    this.#leaving = true;
    server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'));
    // A connection that says nothing now would be closed under a request that is on its way.
    await until(async () => (await connections(server)) === 0, Math.min(LEAD_MAX_MS, shutdownMs / 5));
    await until(() => waiting() === 0, shutdownMs / 3);
    await release();
  }
}

async function until(holds: () => Promise<boolean> | boolean, forMs: number): Promise<void> {
  const end = performance.now() + forMs;
  while (performance.now() < end && !(await holds())) await delay(POLL_MS);
}

const connections = (server: Server): Promise<number> =>
  new Promise((resolve) => server.getConnections((_error, count) => resolve(count ?? 0)));
