/** The responses with a prediction: statuses, headers and members. */
import { afterAll, describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { holdWorker } from '../support/slow-work.ts';

let remove = async () => {};
const millrace = useMillrace(async () => {
  const folder = await makeModelFolder(['slow', 'stuck', 'echo']);
  remove = folder.remove;
  return { modelsDir: folder.dir, models: ['slow', 'stuck', 'echo'], env: { WORKER_CONCURRENCY: '1' } };
});
afterAll(() => remove());

const STATUS = 'millrace-prediction-status';

describe('the status of a prediction', () => {
  test('is in a header of each response with a prediction, and a GET is 200 before the end too', async () => {
    const held = await holdWorker(millrace);
    const made = await millrace.predict('slow', { input: { x: [500_001] } });
    expect([made.status, made.headers.get(STATUS)]).toEqual([202, 'queued']);
    const path = `/v1/predictions/${made.body.id}`;
    const open = await millrace.request(path);
    expect([open.status, open.headers.get(STATUS), open.body.status]).toEqual([200, 'queued', 'queued']);
    expect(Number(open.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(open.headers.get('location')).toBeNull();
    expect(open.headers.get('cache-control')).toBe('private, no-cache');
    const running = await millrace.request(`/v1/predictions/${held.id}`);
    expect([running.status, running.headers.get(STATUS)]).toEqual([200, 'running']);

    const canceled = await millrace.request(`${path}/cancel`, { method: 'POST' });
    expect([canceled.status, canceled.headers.get(STATUS)]).toEqual([200, 'canceled']);
    const retried = await millrace.request(`${path}/retry`, { method: 'POST' });
    expect([retried.status, retried.headers.get(STATUS)]).toEqual([202, 'queued']);
    await held.release();

    const ended = await millrace.request(`${path}?wait=30`);
    expect([ended.status, ended.headers.get(STATUS)]).toEqual([200, 'succeeded']);
    expect(ended.headers.get('retry-after')).toBeNull();
    const etag = ended.headers.get('etag') as string;
    const unchanged = await millrace.request(path, { headers: { 'if-none-match': etag } });
    expect([unchanged.status, unchanged.headers.get(STATUS)]).toEqual([304, 'succeeded']);
  });

  test('shows a failed prediction that its caller waited for', async () => {
    const failed = await millrace.predict('stuck', { input: { x: [10 ** 15] } }, { prefer: 'wait=30' });
    expect([failed.status, failed.headers.get(STATUS), failed.body.status]).toEqual([200, 'failed', 'failed']);
  });

  test('is in the response from the cache', async () => {
    const request = { input: { x: [7, 8] } };
    const computed = await millrace.predict('echo', request, { prefer: 'wait=30' });
    expect(computed.headers.get(STATUS)).toBe('succeeded');
    await expect
      .poll(async () => (await millrace.predict('echo', request)).headers.get('cache-status'))
      .toContain('hit');
    expect((await millrace.predict('echo', request)).headers.get(STATUS)).toBe('succeeded');
  });
});
