/** Waits for the looks of the API in this process at the subscribers of its channels. */
import { BytesSupport } from '@millrace/shared/queue/bytes-support';
import { vi } from 'vitest';

/** Returns a function that resolves when a look that began after the call has ended. */
export function watchLooks(): () => Promise<void> {
  const { mock } = vi.spyOn(BytesSupport.prototype, 'look');
  return async () => {
    const next = mock.calls.length;
    await vi.waitUntil(() => mock.settledResults[next]?.type === 'fulfilled', { timeout: 60_000 });
  };
}
