/** The prediction with which `npm start` shows that the whole system works. */
import { setTimeout as delay } from 'node:timers/promises';
import { StartError } from '@millrace/local/process/start-error';
import { requestJson } from './request-json.ts';
import type { Unserved } from './unserved.ts';

/** The request that `npm start` sends, to a bundled model. The result shows a known drug interaction. */
export const firstRequest = {
  model: 'drug-interaction',
  input: { drug_a: 'Warfarin', drug_b: 'Fluconazole' },
};

export interface FirstPrediction {
  status: string;
  output: unknown;
  cacheStatus: string;
  ms: number;
}

const servedTimeoutMs = 60_000;

/**
 * Resolves to true when the model is served. The API becomes ready with the first model, while the worker still verifies the
 * other models. Resolves to false when every version of the model has failed.
 */
async function untilServed(baseUrl: string, unserved: Unserved): Promise<boolean> {
  const deadline = performance.now() + servedTimeoutMs;
  for (;;) {
    if (unserved.includes(firstRequest.model)) return false;
    const { json } = await requestJson(`${baseUrl}/v1/models/${firstRequest.model}`, { timeoutMs: 10_000 });
    // Failures in the registry are not read: they may come from an earlier start.
    const model = json as { default_version?: string | null };
    if (typeof model.default_version === 'string') return true;
    if (performance.now() > deadline) {
      throw new StartError(
        `No worker served ${firstRequest.model} within ${servedTimeoutMs / 1000} seconds. Read the worker's log.`,
      );
    }
    await delay(25);
  }
}

/** Sends the request over HTTP and waits for the result. Resolves to undefined when the model cannot be served. */
export async function firstPrediction(baseUrl: string, unserved: Unserved): Promise<FirstPrediction | undefined> {
  if (!(await untilServed(baseUrl, unserved))) return undefined;
  const startedAt = performance.now();
  const { status, headers, json } = await requestJson(`${baseUrl}/v1/models/${firstRequest.model}/predictions`, {
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify({ input: firstRequest.input }),
    timeoutMs: 40_000,
  });
  const body = json as { status?: unknown; output?: unknown; detail?: string; title?: string };
  const ms = performance.now() - startedAt;
  if (status !== 200 || body.status !== 'succeeded') {
    const reason = body.detail ?? body.title ?? `status ${JSON.stringify(body.status)}`;
    throw new StartError(`The first prediction did not succeed (HTTP ${status}): ${reason}`);
  }
  return { status: body.status, output: body.output, cacheStatus: String(headers['cache-status'] ?? ''), ms };
}

/** The same request as a command to copy. */
export function curlLine(baseUrl: string): string {
  return [
    `curl -s ${baseUrl}/v1/models/${firstRequest.model}/predictions \\`,
    `  -H 'content-type: application/json' -H 'prefer: wait=30' \\`,
    `  -d '${JSON.stringify({ input: firstRequest.input })}'`,
  ].join('\n');
}
