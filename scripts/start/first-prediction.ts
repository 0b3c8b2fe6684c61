import { setTimeout as delay } from 'node:timers/promises';
import { StartError } from '@millrace/local/process/start-error';
import type { Unserved } from './unserved.ts';

/** The question `npm start` asks, for a model that is bundled: its answer is known to be worth reading. */
export const firstQuestion = {
  model: 'drug-interaction',
  input: { drug_a: 'Warfarin', drug_b: 'Fluconazole' },
};

export interface FirstAnswer {
  status: string;
  output: unknown;
  cacheStatus: string;
  ms: number;
}

const servedTimeoutMs = 60_000;

/**
 * Resolves when the model can be asked: the API is ready with the first model of all, and the others are verified one
 * after the other. False when the worker has said of each of its versions why it cannot be served.
 */
async function untilServed(baseUrl: string, unserved: Unserved): Promise<boolean> {
  const deadline = performance.now() + servedTimeoutMs;
  for (;;) {
    if (unserved.includes(firstQuestion.model)) return false;
    const response = await fetch(`${baseUrl}/v1/models/${firstQuestion.model}`, {
      signal: AbortSignal.timeout(10_000),
    });
    // What the registry says of failures may be of an earlier start, before they were mended.
    const model = (await response.json()) as { default_version?: string | null };
    if (typeof model.default_version === 'string') return true;
    if (performance.now() > deadline) {
      throw new StartError(`No worker served ${firstQuestion.model} within ${servedTimeoutMs / 1000} seconds.`);
    }
    await delay(25);
  }
}

/** Asks through HTTP as any client would, and waits for the answer; undefined when the model cannot be served. */
export async function firstPrediction(baseUrl: string, unserved: Unserved): Promise<FirstAnswer | undefined> {
  if (!(await untilServed(baseUrl, unserved))) return undefined;
  const startedAt = performance.now();
  const response = await fetch(`${baseUrl}/v1/models/${firstQuestion.model}/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify({ input: firstQuestion.input }),
    signal: AbortSignal.timeout(40_000),
  });
  const body = (await response.json()) as { status?: unknown; output?: unknown; detail?: string; title?: string };
  const ms = performance.now() - startedAt;
  if (response.status !== 200 || body.status !== 'succeeded') {
    const reason = body.detail ?? body.title ?? `status ${JSON.stringify(body.status)}`;
    throw new StartError(`The first prediction did not succeed (HTTP ${response.status}): ${reason}`);
  }
  return { status: body.status, output: body.output, cacheStatus: response.headers.get('cache-status') ?? '', ms };
}

/** The same question as a command to copy. */
export function curlLine(baseUrl: string): string {
  return [
    `curl -s ${baseUrl}/v1/models/${firstQuestion.model}/predictions \\`,
    `  -H 'content-type: application/json' -H 'prefer: wait=30' \\`,
    `  -d '${JSON.stringify({ input: firstQuestion.input })}'`,
  ].join('\n');
}
