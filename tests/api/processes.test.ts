/** Tests of several API processes that share a port: every process serves, a killed process is replaced, and a stop fails no request. */
import http from 'node:http';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';
import { childrenOf, startApiProcess, type WorkerProcess } from '../support/worker-process.ts';

const millrace = useSmallModels(['rows']);
let api: WorkerProcess;
beforeAll(async () => {
  api = await startApiProcess({ ...millrace.env, API_PROCESSES: '2', PORT: '0' });
  await vi.waitUntil(() => processes().length === 2, { timeout: 60_000 });
});
afterAll(async () => {
  await api.kill();
});

/** The process ids of the API processes. */
const processes = (): number[] => childrenOf(api.pid);

let next = 0;
/** Sends a prediction on a connection of its own. Resolves to the status; 0 if the connection ended without a response. */
function predict(): Promise<number> {
  next += 1;
  const body = JSON.stringify({ input: { x: [[next, 1]] } });
  return new Promise((resolve) => {
    const request = http.request(`${api.url}/v1/models/rows/predictions`, {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    });
    request.on('response', (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    });
    request.on('error', () => resolve(0));
    request.end(body);
  });
}

/** The sum of a metric by process. */
async function requestsBy(process: number): Promise<number> {
  return api.metric('millrace_http_request_seconds_count', `api_process="${process}",method="POST"`);
}

test('every process serves requests, and each scrape has the metrics of all processes', async () => {
  let sent = 0;
  // A process that starts later than the other serves the later requests. A process that does not reply within a second is absent
  // from a scrape.
  await expect
    .poll(async () => {
      const statuses = await Promise.all(Array.from({ length: 10 }, predict));
      expect(statuses).toEqual(Array.from({ length: 10 }, () => 200));
      sent += statuses.length;
      const counts = [await requestsBy(1), await requestsBy(2)];
      return counts.every((count) => count > 0) && counts.reduce((sum, count) => sum + count) === sent;
    })
    .toBe(true);
  const text = await (await fetch(`${api.url}/metrics`)).text();
  expect(text.match(/^# TYPE millrace_http_request_seconds histogram$/gm)).toHaveLength(1);
});

test('a killed process is replaced, and the other process serves meanwhile', { timeout: 180_000 }, async () => {
  const before = processes();
  process.kill(before[0] as number, 'SIGKILL');
  await vi.waitUntil(() => !processes().includes(before[0] as number), { timeout: 60_000 });
  expect(await predict()).toBe(200);
  await vi.waitUntil(async () => processes().length === 2 && (await requestsBy(1)) >= 0, { timeout: 60_000 });
  await vi.waitUntil(
    async () => {
      await predict();
      const text = await (await fetch(`${api.url}/metrics`)).text();
      return text.includes('millrace_http_request_seconds_count{api_process="1",method="POST"');
    },
    { timeout: 60_000, interval: 100 },
  );
  expect(processes()).toContain(before[1]);
});

test('a scrape does not wait for a process that is stopped by a signal', { timeout: 180_000 }, async () => {
  const [stopped] = processes();
  process.kill(stopped as number, 'SIGSTOP');
  try {
    // The other process replies. Connections that the stopped process received wait.
    const texts = await Promise.any(
      Array.from({ length: 4 }, async () =>
        (await fetch(`${api.url}/metrics`, { headers: { connection: 'close' } })).text(),
      ),
    );
    expect(texts.match(/api_process="\d"/g)?.length).toBeGreaterThan(0);
  } finally {
    process.kill(stopped as number, 'SIGCONT');
  }
});

test('a stop fails no request', { timeout: 180_000 }, async () => {
  await millrace.stopWorkers('stop');
  const waiting = Array.from({ length: 20 }, predict);
  await vi.waitUntil(async () => (await api.metric('millrace_api_waiting')) === 20, { timeout: 60_000 });
  const exit = api.stop();
  expect(await Promise.all(waiting)).toEqual(Array.from({ length: 20 }, () => 202));
  expect(await exit).toBe(0);
});

test('the processes end when the primary process is killed', { timeout: 180_000 }, async () => {
  api = await startApiProcess({ ...millrace.env, API_PROCESSES: '2', PORT: '0' });
  await vi.waitUntil(() => processes().length === 2, { timeout: 60_000 });
  const pids = processes();
  await api.kill();
  await vi.waitUntil(() => pids.every((pid) => !runs(pid)), { timeout: 60_000 });
});

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('a fault of all processes at their start ends the primary process with the reason', {
  timeout: 180_000,
}, async () => {
  const env = { ...millrace.env, API_PROCESSES: '2', PORT: '0', DATABASE_URL: 'postgres://127.0.0.1:1/none' };
  await expect(startApiProcess(env)).rejects.toThrow(/ended with 1:[\s\S]*ended at its start \(code 1\)/);
});
