/** The log of an API process has the ids and the cause that an operator needs, and nothing of a payload. */
import { createLog } from '@millrace/shared/process/log';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';

type Line = Record<string, unknown>;

let millrace: Millrace;
let api: RunningApi;
let folder: Awaited<ReturnType<typeof makeModelFolder>>;
const lines: Line[] = [];

beforeAll(async () => {
  folder = await makeModelFolder(['rows']);
  millrace = await startMillrace({ modelsDir: folder.dir, models: ['rows'] });
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Line) };
  const log = createLog({ name: 'api', level: 'info', destination });
  api = await startApi({ ...millrace.config, accessLog: true, maxQueue: 1 }, log);
});
afterAll(async () => {
  await api?.close(5_000);
  await millrace?.close();
  await folder?.remove();
});

const SECRET = 8_172_635_4;
const post = (body: object, headers: Record<string, string> = {}) =>
  fetch(`${api.url}/v1/models/rows/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const ofRequest = (id: string) => lines.filter(({ reqId }) => reqId === id);

test('ACCESS_LOG: each response has a line, hits too, without the query', async () => {
  const request = { input: { x: [[1, 2]] } };
  await post(request, { prefer: 'wait=30', 'request-id': 'first' });
  await expect
    .poll(async () => (await post(request, { prefer: 'wait=30', 'request-id': 'hit' })).headers.get('cache-status'))
    .toMatch(/^millrace; hit/);
  await fetch(`${api.url}/v1/predictions?metadata.note=${SECRET}`, { headers: { 'request-id': 'list' } });
  await expect.poll(() => ofRequest('list')).toHaveLength(1);
  const route = '/v1/models/:model/predictions';
  expect(ofRequest('hit').at(-1)).toMatchObject({ msg: 'request', method: 'POST', route, status: 200, level: 30 });
  expect(ofRequest('list')[0]).toMatchObject({ method: 'GET', path: '/v1/predictions', status: 200 });
});

test('a refused request has a line with its reason, model and id', async () => {
  await millrace.stopWorkers('stop');
  const input = (n: number) => ({ input: { x: [[SECRET, n]] }, metadata: { note: String(SECRET) } });
  await expect
    .poll(async () => (await post(input(Math.random()), { 'request-id': 'refused' })).status, { timeout: 60_000 })
    .toBe(429);
  const refused = ofRequest('refused').find(({ msg }) => msg === 'request refused');
  expect(refused).toMatchObject({ level: 40, code: 'queue_full', model: 'rows', detail: expect.any(String) });
});

test('no line has a part of a payload', () => {
  expect(lines.length).toBeGreaterThan(3);
  expect(JSON.stringify(lines)).not.toContain(String(SECRET));
});
