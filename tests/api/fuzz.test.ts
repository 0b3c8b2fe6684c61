import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FuzzRequest, fuzzRequests } from '../support/fuzz-requests.ts';
import { Contract, type Document } from '../support/openapi-check.ts';
import { useSmallModels } from '../support/small-models.ts';
import { startApiProcess, type WorkerProcess } from '../support/worker-process.ts';

/**
 * FUZZ_REQUESTS=100000 starts the long run, which also limits a block of the event loop to 50 ms. FUZZ_SEED repeats a
 * run.
 */
const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 1_500);
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
const AT_ONCE = 32;
/** One sampling interval of prom-client is part of the measured delay. */
const LAG_MAX_S = 0.05 + 0.01;

const millrace = useSmallModels(['echo', 'rows']);
let api: WorkerProcess;
// The API runs in its own process, so that its event loop is measured and not the event loop of the request generator.
beforeAll(async () => {
  api = await startApiProcess({ ...millrace.env, LOG_LEVEL: 'info' });
});
afterAll(async () => {
  await api.stop();
});

describe(`${REQUESTS} requests generated from the OpenAPI document (FUZZ_SEED=${SEED})`, () => {
  test('get no 5xx and no response that the document does not describe', {
    timeout: Math.max(900_000, REQUESTS * 30),
  }, async () => {
    const document = (await (await fetch(`${api.url}/openapi.json`)).json()) as Document;
    const contract = new Contract(document);
    const ids = await Promise.all(
      [1, 2, 3].map(
        async (at) => (await millrace.predict('echo', { input: { x: [at, at] }, metadata: { at: `${at}` } })).body.id,
      ),
    );
    const names = ['echo', 'rows', '1', 'production', 'drug', 'queued', ...ids];
    const inputs = [
      { input: { x: [1, 2] } },
      { input: { x: ['9007199254740993', 2] } },
      { input: { x: { shape: [2], base64: 'AQAAAAAAAAACAAAAAAAAAA==' } } },
      { input: { x: [[1, 2]] } },
      { inputs: [{ x: [[1, 2]] }, { x: [[3, 4]] }] },
    ];
    const requests = fuzzRequests(document, names, inputs);
    const faults: string[] = [];
    let lag = 0;
    const statuses = new Map<number, number>();
    for (let at = 0; at < REQUESTS; at += 500) {
      const some = fc.sample(requests, { seed: SEED + at, numRuns: Math.min(500, REQUESTS - at) });
      await inParallel(some, async (request) => {
        const { status, fault } = await send(contract, request);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (fault !== undefined) faults.push(`${fault.slice(0, 600)}\n${JSON.stringify(request).slice(0, 1_500)}`);
      });
      lag = Math.max(lag, await api.metric('nodejs_eventloop_lag_max_seconds'));
    }
    console.log('statuses', Object.fromEntries([...statuses].sort()), 'longest hold of the event loop', lag, 's');
    expect(faults.slice(0, 10)).toEqual([]);
    if (process.env.FUZZ_REQUESTS) expect(lag).toBeLessThan(LAG_MAX_S);
  });
});

async function send(contract: Contract, { method, path, headers, body }: FuzzRequest) {
  const response = await fetch(api.url + path, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
    redirect: 'manual',
  });
  const text = await response.text();
  const isJson = (response.headers.get('content-type') ?? '').includes('json');
  const seen = { method, path, status: response.status, headers: response.headers };
  const fault = contract.faultOf({ ...seen, body: isJson && text !== '' ? JSON.parse(text) : text });
  const failed = response.status >= 500 && response.status !== 504 ? `got ${response.status}: ${text}` : undefined;
  return {
    status: response.status,
    fault: failed ?? (fault && `got a ${response.status} that ${fault}: ${text.slice(0, 500)}`),
  };
}

async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of left) await run(item);
    }),
  );
}
