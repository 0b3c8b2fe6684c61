/** A moderate load of unique inputs from a few clients. Some clients wait, and others read the result later. */
import { setTimeout as delay } from 'node:timers/promises';
import type { LedgerClient, SubmitOptions } from './client.ts';
import { quick, slow, type TestRequest } from './models.ts';
import type { Random } from './random.ts';

export interface Load {
  /** Stops new requests. Resolves when all sent requests have responses. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  clients?: number;
  /** Mean pause of a client between two requests. */
  pauseMs?: number;
  request?: (random: Random) => TestRequest;
  options?: (random: Random) => SubmitOptions;
}

const mixed = (random: Random): TestRequest => (random() < 0.3 ? slow(5 + random() * 20) : quick());
const either = (random: Random): SubmitOptions => ({ mode: random() < 0.5 ? 'wait' : 'async' });

export function startLoad(client: LedgerClient, random: Random, load: LoadOptions = {}): Load {
  const { clients = 8, pauseMs = 25, request = mixed, options = either } = load;
  let stopped = false;
  const all = Array.from({ length: clients }, async () => {
    while (!stopped) {
      await client.submit(request(random), options(random));
      await delay(random() * 2 * pauseMs);
    }
  });
  return {
    async stop() {
      stopped = true;
      await Promise.all(all);
    },
  };
}
