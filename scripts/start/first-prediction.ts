import { StartError } from '@millrace/local/start-error';

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

/** Asks through HTTP as any client would, and waits for the answer. */
export async function firstPrediction(baseUrl: string): Promise<FirstAnswer> {
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
