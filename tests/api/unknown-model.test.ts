/** A request for a model that does not exist, in the moment when the API process reads the models again. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';
import { startApiProcess, type WorkerProcess } from '../support/worker-process.ts';

const millrace = useSmallModels(['echo']);
let api: WorkerProcess;
// In a process of its own: an unhandled rejection ends the process.
beforeAll(async () => {
  api = await startApiProcess(millrace.env);
});
afterAll(() => api.stop());

const send = async (method: string, path: string, body: unknown) => {
  const headers = { 'content-type': 'application/json', prefer: 'wait=30' };
  const response = await fetch(api.url + path, { method, headers, body: JSON.stringify(body) });
  await response.text();
  return response;
};

test('returns 404 for a body that the process has read before, directly after a change of the models', async () => {
  const body = { input: { x: [1, 2] } };
  for (let round = 0; round < 20; round += 1) {
    // After a hit the process keeps the parsed body.
    await vi.waitUntil(
      async () => {
        const response = await send('POST', '/v1/models/echo/predictions', body);
        return response.headers.get('cache-status')?.includes('hit');
      },
      { timeout: 60_000 },
    );
    // A change of an alias discards the models that the process has in memory.
    const changed = await send('PUT', `/v1/models/echo/aliases/a${round}`, { version: '1' });
    expect(changed.ok).toBe(true);
    const responses = await Promise.all(
      Array.from({ length: 4 }, () => send('POST', '/v1/models/nobody/predictions', body)),
    );
    expect(responses.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
  }
  expect((await fetch(`${api.url}/healthz`)).status).toBe(200);
});
