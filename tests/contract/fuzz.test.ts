import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FRESH, type FuzzRequest, fuzzRequests } from '../support/fuzz-requests.ts';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { Contract, type Document } from '../support/openapi-check.ts';
import { startApiProcess, type WorkerProcess } from '../support/worker-process.ts';

/** FUZZ_REQUESTS=100000 starts the long run. FUZZ_SEED repeats a run. */
const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 1_500);
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
const AT_ONCE = 32;
/** The most processor time of a turn of the event loop. The meter adds the turns of two milliseconds. */
const TURN_MAX_MS = 50;
/** A request is repeated up to this often: garbage of earlier requests is collected in some tries. */
const TRIES = 3;

const SMALL = ['echo', 'rows', 'image'] as const;
const BUNDLED = ['drug-interaction', 'drug-interaction-similarity'];

let removeModels = async () => {};
afterAll(() => removeModels());
const millrace = useMillrace(async () => {
  const folder = await makeModelFolder(SMALL, BUNDLED);
  removeModels = folder.remove;
  // A store that a busy machine delays is no fault of a request.
  return { modelsDir: folder.dir, models: [...SMALL, ...BUNDLED], env: { STORE_TIMEOUT_MS: '60000' } };
});
const meterDir = mkdtempSync(path.join(tmpdir(), 'millrace-turns-'));
const meter = path.join(meterDir, 'longest');
let api: WorkerProcess;
// The API runs in its own process, so that its event loop is measured and not the event loop of the request generator.
beforeAll(async () => {
  const preload = new URL('../support/turn-meter.mjs', import.meta.url);
  api = await startApiProcess({ ...millrace.env, NODE_OPTIONS: `--import=${preload}`, TURN_METER: meter });
});
afterAll(async () => {
  await api.stop();
  rmSync(meterDir, { recursive: true });
});

/** A structure near the limit of 150 atoms, with many rings. */
const heavy = (at: number) => `${'C1CC(C)C(C2CCCCC2)C1'.repeat(4)}${'C'.repeat(60 + (at % 16))}`;
const deep = (depth: number) => JSON.parse(`${'['.repeat(depth)}1${']'.repeat(depth)}`);

const BODIES = {
  echo: [
    { input: { x: [FRESH, 2] } },
    { input: { x: ['9007199254740993', FRESH] } },
    { input: { x: { shape: [2], base64: 'AQAAAAAAAAACAAAAAAAAAA==' } } },
    { input: { x: deep(60) } },
  ],
  rows: [
    { input: { x: [[FRESH, 2]] } },
    { inputs: [{ x: [[1, FRESH]] }, { x: [[3, 4]] }] },
    { inputs: Array.from({ length: 2_000 }, (_, at) => ({ x: [[at, FRESH]] })) },
    { inputs: [{ x: [[FRESH, 1]] }, { x: 'no tensor' }], on_error: 'row' },
  ],
  image: [
    { input: { x: { shape: [1, 64, 64, 3], data: Array.from({ length: 12_288 }, (_, at) => at / 7 + FRESH) } } },
    { input: { x: Array.from({ length: 4_000 }, (_, at) => [[[at, FRESH]]]) } },
  ],
  'drug-interaction': [
    { input: { drug_a: 'Warfarin', drug_b: 'aspirin' } },
    { input: { drug_a: { smiles: heavy(0) }, drug_b: 'Warfrin' } },
    { inputs: Array.from({ length: 20 }, (_, at) => ({ drug_a: { smiles: heavy(at) }, drug_b: 'Warfarin' })) },
    { inputs: Array.from({ length: 500 }, (_, at) => ({ drug_a: `nobody ${at}`, drug_b: 'Warfarin' })) },
    {
      inputs: [
        { drug_a: 'Warfarin', drug_b: FRESH },
        { drug_a: 'Warfarin', drug_b: 'aspirin' },
      ],
      on_error: 'row',
    },
  ],
  'drug-interaction-similarity': [
    { input: { similarities: [[0.1, 0.5, 0.5, 0.5, FRESH]] } },
    { inputs: Array.from({ length: 1_000 }, (_, at) => ({ similarities: [[at / 1_000, 0, 0, 0, FRESH]] })) },
  ],
};

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
    const names = [...SMALL, ...BUNDLED, '1', 'production', 'drug', 'queued', ...ids];
    const requests = fuzzRequests({ document, names, bodies: BODIES });
    const faults: string[] = [];
    const statuses = new Map<number, number>();
    for (let at = 0; at < REQUESTS; at += 500) {
      const some = fc.sample(requests, { seed: SEED + at, numRuns: Math.min(500, REQUESTS - at) });
      await inParallel(some, async (request) => {
        const { status, fault } = await send(contract, request);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (fault !== undefined) faults.push(`${fault.slice(0, 600)}\n${JSON.stringify(request).slice(0, 1_500)}`);
      });
    }
    console.log('statuses', Object.fromEntries([...statuses].sort()));
    expect(faults.slice(0, 10)).toEqual([]);
    // Requests that one header refuses try nothing.
    const good = [200, 202].reduce((sum, status) => sum + (statuses.get(status) ?? 0), 0);
    expect(good).toBeGreaterThan(REQUESTS / 8);
  });
});

const sent = Object.entries(BODIES).flatMap(([model, bodies]) => bodies.map((body) => ({ model, body })));

test.each(sent)('$model: $body holds no turn of the event loop', async ({ model, body }) => {
  const contract = new Contract((await (await fetch(`${api.url}/openapi.json`)).json()) as Document);
  let leastMs = Number.POSITIVE_INFINITY;
  for (let at = 0; at < TRIES && leastMs >= TURN_MAX_MS; at += 1) {
    writeFileSync(meter, '0');
    // A new number in each try: a hit would measure nothing.
    const text = JSON.stringify(body, (_, value) => (value === FRESH ? 1_000 + at : value));
    const headers = { 'content-type': 'application/json', prefer: 'wait=30', 'cache-control': 'no-cache' };
    const request = { method: 'POST', path: `/v1/models/${model}/predictions`, headers, body: text };
    expect((await send(contract, request)).fault).toBeUndefined();
    leastMs = Math.min(leastMs, Number(readFileSync(meter, 'utf8')));
  }
  expect(leastMs).toBeLessThan(TURN_MAX_MS);
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
  const failed =
    response.status >= 500 && response.status !== 504 && !/^\/(readyz|v2\/health\/ready)/.test(path)
      ? `got ${response.status}: ${text}`
      : undefined;
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
