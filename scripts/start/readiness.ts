import { setTimeout as delay } from 'node:timers/promises';
import { StartError } from '@millrace/local/process/start-error';

const readyTimeoutMs = 60_000;

/** Resolves when the API can answer; rejects at the deadline, or with the signal's reason when that is aborted. */
export async function untilReady(baseUrl: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs;
  for (;;) {
    const missing = await missingParts(`${baseUrl}/readyz`);
    if (missing === '') return;
    if (performance.now() > deadline) {
      throw new StartError(`Millrace was not ready within ${readyTimeoutMs / 1000} seconds: ${missing}.`);
    }
    await delay(25, undefined, { signal });
  }
}

/** What the API still waits for, in words: nothing (an empty text) when it is ready. */
async function missingParts(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    const { parts = {} } = (await response.json()) as { parts?: Record<string, string> };
    if (response.ok) return '';
    const missing = Object.entries(parts).filter(([, answer]) => answer !== 'ok');
    return missing.map(([part, answer]) => `${part}: ${answer}`).join('; ') || `it answers ${response.status}`;
  } catch (error) {
    return `the API does not answer (${(error as Error).message})`;
  }
}
