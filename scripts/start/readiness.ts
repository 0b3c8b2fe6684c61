import { setTimeout as delay } from 'node:timers/promises';
import { StartError } from '@millrace/local/start-error';

const readyTimeoutMs = 60_000;

/** Resolves when the API can answer; rejects at the deadline, or with the signal's reason when that is aborted. */
export async function untilReady(baseUrl: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs;
  while (!(await isReady(`${baseUrl}/readyz`))) {
    if (performance.now() > deadline) {
      throw new StartError(
        `Millrace was not ready within ${readyTimeoutMs / 1000} seconds: ${baseUrl}/readyz says why.`,
      );
    }
    await delay(25, undefined, { signal });
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    // Not listening yet.
    return false;
  }
}
