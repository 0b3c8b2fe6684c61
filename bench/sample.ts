/**
 * Sends single requests beside a load and compares each output with the reference: a fast wrong output has no value.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Inputs } from './inputs.ts';

export interface SampleOptions {
  url: string;
  headers: Readonly<Record<string, string>>;
  inputs: Inputs;
  /** The number of pairs to choose from, starting with the first pair. */
  among: number;
  /** Whether the response only echoes the request. Then only the status can be checked. */
  echo: boolean;
  everyMs: number;
}

export interface Sampling {
  /** Ends the sampling. Throws the first wrong output. */
  end(): Promise<number>;
}

export function startSampling(options: SampleOptions): Sampling {
  const { url, headers, inputs, among, echo, everyMs } = options;
  const stop = new AbortController();
  let checked = 0;
  const run = async () => {
    for (let at = 0; !stop.signal.aborted; at = (at + 37) % among) {
      const pair = inputs.pairs[at];
      if (!pair) throw new Error('no pairs to sample');
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ input: pair }),
      });
      const text = await response.text();
      if (response.status !== 200)
        throw new Error(`${response.status} for ${JSON.stringify(pair)}: ${text.slice(0, 500)}`);
      const fault = echo ? undefined : await inputs.fault(pair, (JSON.parse(text) as { output: unknown }).output);
      if (fault !== undefined) throw new Error(`Wrong output for ${JSON.stringify(pair)}: ${fault}`);
      checked++;
      await delay(everyMs, undefined, { signal: stop.signal }).catch(() => {});
    }
  };
  const running = run();
  // The rejection is handled in end(), which may be called much later.
  running.catch(() => {});
  return {
    end: async () => {
      stop.abort();
      await running;
      return checked;
    },
  };
}
