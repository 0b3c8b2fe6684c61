/** A modest load of unique questions from a few clients, some of which wait and some of which fetch later. */
import { setTimeout as delay } from 'node:timers/promises';
import type { AskOptions, LedgerClient } from './client.ts';
import { type Question, quick, slow } from './models.ts';
import type { Random } from './random.ts';

export interface Load {
  /** No more questions; resolves when those asked are answered. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  clients?: number;
  /** Mean pause of a client between two questions. */
  pauseMs?: number;
  question?: (random: Random) => Question;
  options?: (random: Random) => AskOptions;
}

const mixed = (random: Random): Question => (random() < 0.3 ? slow(5 + random() * 20) : quick());
const either = (random: Random): AskOptions => ({ mode: random() < 0.5 ? 'wait' : 'async' });

export function startLoad(client: LedgerClient, random: Random, load: LoadOptions = {}): Load {
  const { clients = 8, pauseMs = 25, question = mixed, options = either } = load;
  let stopped = false;
  const all = Array.from({ length: clients }, async () => {
    while (!stopped) {
      await client.ask(question(random), options(random));
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
