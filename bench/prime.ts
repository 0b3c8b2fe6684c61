import { predictionsPath } from './rivals/model.ts';
import type { Rival } from './stage.ts';

/** Sends each body once, 64 at a time, so that the results are cached. */
export async function prime(rival: Rival, bodies: readonly string[]): Promise<void> {
  const left = [...bodies];
  const client = async () => {
    for (let body = left.pop(); body !== undefined; body = left.pop()) {
      const response = await fetch(rival.url + predictionsPath, {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'wait=30' },
        body,
      });
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${rival.name} returned ${response.status}: ${text.slice(0, 500)}`);
    }
  };
  await Promise.all(Array.from({ length: 64 }, client));
}
