/**
 * Stops the server without a failed request. First /readyz reports the stop, and every response has `Connection: close`:
 * load balancers and clients move to other processes while this process still serves. Then the process waits until every
 * waiting caller has a response: the result, or after some time a promise. Then the server closes.
 */
import type { Server } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;
const LEAD_MAX_MS = 2_000;

export interface DrainDeps {
  server: Server;
  /** The number of callers that wait for a result now. */
  waiting(): number;
  /** Ends every wait. The callers receive promises. */
  release(): Promise<void> | void;
  shutdownMs: number;
}

export class Draining {
  #leaving = false;

  /** Whether the stop has begun. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** Resolves when the server can close, at the latest after about half of `shutdownMs`. */
  async run({ server, waiting, release, shutdownMs }: DrainDeps): Promise<void> {
    this.#leaving = true;
    server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'));
    // A close now could cut an idle connection while a request is on its way.
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
