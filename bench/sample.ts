/**
 * Sends single requests beside a load and compares each output with the reference: a fast wrong output has no value.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Requests } from './requests.ts';

export interface SampleOptions {
  /** Without the path. */
  url: string;
  requests: Requests;
  /** Whether the response only echoes the request. Then only the status can be checked. */
  echo: boolean;
  everyMs: number;
}

export interface Sampling {
  /** Ends the sampling. Throws the first wrong output. */
  end(): Promise<number>;
}

/** Sends the request of one index. Throws when its response is wrong. */
export async function checkOne({ url, requests, echo }: Omit<SampleOptions, 'everyMs'>, index: number): Promise<void> {
  const body = requests.bodies[index];
  if (body === undefined) throw new Error('no requests to sample');
  const response = await fetch(url + requests.path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...requests.headers },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.status !== 200) throw new Error(`${response.status} for ${excerpt(body)}: ${excerpt(bytes)}`);
  const fault = echo ? undefined : await requests.fault(index, { headers: response.headers, body: bytes });
  if (fault !== undefined) throw new Error(`Wrong output for ${excerpt(body)}: ${fault}`);
}

const excerpt = (body: string | Buffer): string => body.toString().slice(0, 500);

export function startSampling(options: SampleOptions): Sampling {
  const stop = new AbortController();
  let checked = 0;
  const run = async () => {
    for (let at = 0; !stop.signal.aborted; at = (at + 37) % options.requests.bodies.length) {
      await checkOne(options, at);
      checked++;
      await delay(options.everyMs, undefined, { signal: stop.signal }).catch(() => {});
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
