/** Answers asked for one by one beside a load, and each held against the reference: a fast wrong answer is no answer. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Questions } from './questions.ts';

export interface SampleOptions {
  url: string;
  headers: Readonly<Record<string, string>>;
  questions: Questions;
  /** Which of the pairs, from the first on. */
  among: number;
  /** Whether the answer's body is only an echo, of which nothing but the status can be checked. */
  echo: boolean;
  everyMs: number;
}

export interface Sampling {
  /** Ends the sampling; throws what the first wrong answer was. */
  end(): Promise<number>;
}

export function startSampling(options: SampleOptions): Sampling {
  const { url, headers, questions, among, echo, everyMs } = options;
  const stop = new AbortController();
  let checked = 0;
  const run = async () => {
    for (let at = 0; !stop.signal.aborted; at = (at + 37) % among) {
      const pair = questions.pairs[at];
      if (!pair) throw new Error('nothing to ask');
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ input: pair }),
      });
      const text = await answer.text();
      if (answer.status !== 200) throw new Error(`${answer.status} for ${JSON.stringify(pair)}: ${text.slice(0, 500)}`);
      const fault = echo ? undefined : await questions.fault(pair, (JSON.parse(text) as { output: unknown }).output);
      if (fault !== undefined) throw new Error(`A wrong answer for ${JSON.stringify(pair)}: ${fault}`);
      checked++;
      await delay(everyMs, undefined, { signal: stop.signal }).catch(() => {});
    }
  };
  const running = run();
  // Heard in end(), which may be much later.
  running.catch(() => {});
  return {
    end: async () => {
      stop.abort();
      await running;
      return checked;
    },
  };
}
