/** Tests that outputs of 21 MB arrive whole by every path, and that no turn of the event loop of API or worker takes 50 ms. */
import { loadConfig } from '@millrace/shared/process/config';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type RunningWorker, startWorker } from '../../apps/worker/src/worker.ts';
import { type Measured, startClientThread } from '../support/client-thread.ts';
import { longestTurnMs } from '../support/longest-turn.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['huge']);
const clients = [startClientThread(), startClientThread(), startClientThread()] as const;
const [client, second, third] = clients;
let worker: RunningWorker;
// The API and the worker share this process, so that one measurement covers both.
beforeAll(async () => {
  await millrace.stopWorkers('stop');
  worker = await startWorker(loadConfig(millrace.env), pino({ level: 'silent' }));
});
afterAll(async () => {
  await worker.close(5_000);
  await Promise.all(clients.map((one) => one.close()));
});

const HELD_MS = 50;
const TRIES = 5;
const PREDICTIONS = '/v1/models/huge/predictions';
const INFER = '/v2/models/huge/infer';
/** The output of one row is longer. */
const ROW_BYTES = 16_000_000;
let next = 0;

/** A number that no earlier request contains, of about eleven characters. */
function fresh(): number {
  next += 1;
  return next / 64 + 0.12345679;
}
const waiting = (input: unknown): Measured => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', prefer: 'wait=60' },
  body: JSON.stringify(input),
});
const infer = (more: object = {}): Measured => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [fresh()] }], ...more }),
});
const asRow = (x: number) => ({ input: { x: [[x]] } });

async function expectLong(path: string, request: Measured, { from = client, rows = 1, status = 'succeeded' } = {}) {
  const got = await from.measure(millrace.url + path, request);
  expect(`${got.status} ${got.start}`).toMatch(/^200 /);
  if (status !== '') expect(got.start + got.end).toContain(status);
  expect(got.bytes).toBeGreaterThan(rows * ROW_BYTES);
  return got;
}

/** Sends three equal requests at the same time: the first leads, and the other two follow. */
async function expectCollapsed(): Promise<void> {
  const request = waiting(asRow(fresh()));
  await Promise.all([client, second, third].map((from) => expectLong(PREDICTIONS, request, { from })));
}

let known: ReturnType<typeof asRow>;
let id: string;
beforeAll(async () => {
  known = asRow(fresh());
  id = (await expectLong(PREDICTIONS, waiting(known))).start.slice(7, 44);
}, 60_000);

const WAYS: Readonly<Record<string, () => Promise<unknown>>> = {
  'is computed': () => expectLong(PREDICTIONS, waiting(asRow(fresh()))),
  'is computed as one of two rows': () =>
    expectLong(PREDICTIONS, waiting({ input: { x: [[fresh()], [fresh()]] } }), { rows: 2 }),
  'is computed as one of a list': () =>
    expectLong(PREDICTIONS, waiting({ inputs: [{ x: [[fresh()]] }, { x: [[fresh()]] }] }), { rows: 2 }),
  'goes to many callers': expectCollapsed,
  'is in the cache': () => expectLong(PREDICTIONS, waiting(known)),
  'is in the cache, and the caller wants a prediction of its own': () =>
    expectLong(PREDICTIONS, waiting({ ...known, metadata: { n: `${next}` } })),
  'is in the cache, and another row is not': () =>
    expectLong(PREDICTIONS, waiting({ inputs: [known.input, { x: [[fresh()]] }] }), { rows: 2 }),
  'is fetched': () => expectLong(`/v1/predictions/${id}`, {}),
  'is sent as an event': () => expectLong(`/v1/predictions/${id}/events`, {}),
  'is requested by the Open Inference Protocol': () => expectLong(INFER, infer(), { status: 'model_name' }),
};

describe('an output of 21 MB', () => {
  test.each(Object.keys(WAYS))('that %s: no turn of the event loop takes 50 ms', { timeout: 240_000 }, async (name) => {
    let least = Number.POSITIVE_INFINITY;
    // Some tries include the garbage collection of earlier work.
    for (let n = 0; n < TRIES && least >= HELD_MS; n += 1)
      least = Math.min(least, await longestTurnMs(WAYS[name] as () => Promise<unknown>));
    expect(least).toBeLessThan(HELD_MS);
  });

  test('goes out as bytes by the Open Inference Protocol', { timeout: 180_000 }, async () => {
    const got = await client.measure(millrace.url + INFER, infer({ parameters: { binary_data_output: true } }));
    expect(got.status).toBe(200);
    expect(got.bytes).toBeGreaterThan(1_920_000 * 4);
  });

  test('is recorded, and fetched from the ledger', { timeout: 180_000 }, async () => {
    const x = fresh();
    const got = await expectLong(PREDICTIONS, waiting(asRow(x)));
    const own = got.start.slice(7, 44);
    await vi.waitFor(
      async () => {
        const { end } = await client.measure(`${millrace.url}/v1/predictions?limit=1`, {});
        expect(end).toContain(own);
      },
      { timeout: 60_000, interval: 100 },
    );
    await millrace.forget(own);
    const again = await expectLong(`/v1/predictions/${own}`, {});
    // A GET also has the timeline, of a few hundred bytes.
    expect(again.bytes - got.bytes).toBeGreaterThan(0);
    expect(again.bytes - got.bytes).toBeLessThan(2_000);
    expect(again.start).toContain(String(x).slice(0, 7));
  });
});
