/** Waits until the started API is ready. */
import { setTimeout as delay } from 'node:timers/promises';
import { StartError } from '@millrace/local/process/start-error';
import { requestJson } from './request-json.ts';

const readyTimeoutMs = 60_000;

/**
 * Resolves when the API is ready, or misses only a model while the folder has none. Rejects at the deadline, and with the signal's
 * reason when the signal is aborted.
 */
export async function untilReady(baseUrl: string, signal: AbortSignal, hasModels: boolean): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs;
  for (;;) {
    const missing = await missingParts(`${baseUrl}/readyz`, hasModels);
    if (missing === '') return;
    if (performance.now() > deadline) {
      throw new StartError(`Millrace was not ready within ${readyTimeoutMs / 1000} seconds: ${missing}.`);
    }
    await delay(25, undefined, { signal });
  }
}

/** Returns the parts that the API still waits for, in words; an empty text when the API is ready. */
async function missingParts(url: string, hasModels: boolean): Promise<string> {
  try {
    const { status, json } = await requestJson(url, { timeoutMs: 2_000 });
    const { parts = {} } = json as { parts?: Record<string, string> };
    if (status === 200) return '';
    const missing = Object.entries(parts).filter(([, state]) => state !== 'ok');
    if (!hasModels && missing.length === 1 && missing[0]?.[0] === 'models') return '';
    return missing.map(([part, state]) => `${part}: ${state}`).join('; ') || `the API returns ${status}`;
  } catch (error) {
    return `the API does not respond (${(error as Error).message})`;
  }
}
