import { mkdtemp, rm } from 'node:fs/promises';
import { enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { digestHandler, verifyHandler } from '@millrace/shared/model-files/handler-file';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { ACTING_HANDLER, makeHandlerModels } from '../../../../tests/support/handler-models.ts';
import { HandlerPool, type HandlerSource, idleMsOf } from './handler-pool.ts';

let source: HandlerSource;
let remove = async () => {};
beforeAll(async () => {
  const folder = await makeHandlerModels({ acting: ACTING_HANDLER });
  remove = folder.remove;
  const file = path.join(folder.dir, 'acting/handler.ts');
  const handler = await verifyHandler(file, (await digestHandler(file)).digest);
  source = { key: 'acting', handler, entities: {} };
});
afterAll(() => remove());

const row = (x: number) => expect.objectContaining({ row: `{"x":${x}}` });
const poolOf = async (threads: number, timeoutMs: number) => {
  const pool = new HandlerPool({ threads, timeoutMs, memoryMb: 64 });
  await pool.load(source, 'a');
  return pool;
};

test('each input has its own result, in the order of the inputs', async () => {
  const pool = await poolOf(2, 60_000);
  const inputs = [
    { x: 1 },
    { x: 2, act: 'refuse' },
    { x: 'three' },
    { x: 4, act: 'throw' },
    { x: 5, act: 'nan' },
    { x: 6 },
  ];
  expect(await pool.run(source, inputs, 'a')).toEqual([
    row(1),
    { refused: { pointer: '/act', message: 'This is refused.' }, ms: expect.any(Number) },
    { faults: [expect.objectContaining({ pointer: '/x', expected: 'a number' })], ms: expect.any(Number) },
    { failed: 'there is no such thing', stack: expect.stringContaining('at act'), ms: expect.any(Number) },
    { failed: 'NaN is not JSON', stack: expect.any(String), ms: expect.any(Number) },
    row(6),
  ]);
  await pool.close();
});

test('threads without work are kept for half a minute, and for up to a minute where a load took long', () => {
  expect(idleMsOf([{ loadMs: 0 }, { loadMs: 300 }])).toBe(30_000);
  expect(idleMsOf([{ loadMs: 1_500 }, { loadMs: 300 }])).toBe(45_000);
  expect(idleMsOf([{ loadMs: 1_500 }, { loadMs: 9_000 }])).toBe(60_000);
});

test('10,000 inputs run in many turns, and none is lost', async () => {
  const pool = await poolOf(1, 60_000);
  const inputs = Array.from({ length: 10_000 }, (_, x) => ({ x }));
  const results = await pool.run(source, inputs, 'a');
  expect(results.map((result) => 'row' in result && result.row)).toEqual(inputs.map(({ x }) => `{"x":${x}}`));
  await pool.close();
});

// Without a free core a thread that computes can meet the limit of a thread that waits.
const OUT_OF_TIME = expect.stringMatching(/^(longer than 300|waited longer than 3600) ms$/);

describe.each([
  ['spin', OUT_OF_TIME],
  ['wait', 'waited longer than 3600 ms'],
])('an input that does not end (%s)', (act, timedOut) => {
  test('times out, the results before it stay, and the thread is replaced', async () => {
    const pool = await poolOf(1, 300);
    const results = await pool.run(source, [{ x: 1 }, { x: 2 }, { x: 3, act }, { x: 4 }], 'a');
    expect(results).toEqual([
      row(1),
      row(2),
      { timedOut, ms: expect.any(Number) },
      { timedOut: 'not tried, because input 2 of the request ended the thread of the handler', ms: 0 },
    ]);
    expect(await pool.run(source, [{ x: 5 }], 'a')).toEqual([row(5)]);
    await pool.close();
  });
});

test.each([
  ['exit', 'the handler ended its thread'],
  ['memory', 'need more than 64 MiB of memory: raise HANDLER_MEMORY'],
])('an input that ends its thread (%s) fails alone', { timeout: 60_000 }, async (act, reason) => {
  const pool = await poolOf(1, 30_000);
  const [ended, later] = await Promise.all([pool.run(source, [{ x: 1, act }], 'a'), pool.run(source, [{ x: 2 }], 'b')]);
  expect(ended).toEqual([{ failed: expect.stringContaining(reason), stack: '', ms: 0 }]);
  expect(later).toEqual([row(2)]);
  await pool.close();
});

test('tenants take turns in one thread: few inputs do not wait for the many inputs of another tenant', async () => {
  const pool = await poolOf(1, 60_000);
  const ended: string[] = [];
  const run = (tenant: string, count: number) =>
    pool
      .run(
        source,
        Array.from({ length: count }, (_, x) => ({ x, act: 'busy5' })),
        tenant,
      )
      .then(() => ended.push(tenant));
  await Promise.all([run('a', 200), run('a', 200), run('b', 1)]);
  expect(ended).toEqual(['b', 'a', 'a']);
  await pool.close();
});

test('short requests of a tenant share messages, and each has its own result', async () => {
  const pool = await poolOf(1, 60_000);
  const sent = vi.spyOn(Worker.prototype, 'postMessage');
  const inputs = Array.from({ length: 200 }, (_, x) => (x % 50 === 7 ? { x: 'seven' } : { x }));
  const results = await Promise.all(inputs.map((input) => pool.run(source, [input], 'a')));
  // The first message has one input, and the others have 32.
  expect(sent).toHaveBeenCalledTimes(1 + Math.ceil(199 / 32));
  sent.mockRestore();
  for (const [at, { x }] of inputs.entries())
    expect(results[at]).toEqual([
      typeof x === 'number' ? row(x) : expect.objectContaining({ faults: expect.any(Array) }),
    ]);
  await pool.close();
});

test('requests of different tenants share no message', async () => {
  const pool = await poolOf(1, 60_000);
  const sent = vi.spyOn(Worker.prototype, 'postMessage');
  await Promise.all(['a', 'b', 'a', 'b', 'a'].map((tenant, x) => pool.run(source, [{ x }], tenant)));
  expect(sent).toHaveBeenCalledTimes(3);
  sent.mockRestore();
  await pool.close();
});

test.each([
  ['spin', { timedOut: OUT_OF_TIME, ms: 300 }],
  ['exit', { failed: expect.stringContaining('the handler ended its thread'), stack: '', ms: 0 }],
])('an input that ends its thread (%s) leaves the requests of the same message unharmed', async (act, result) => {
  const pool = await poolOf(1, 300);
  const inputs = [{ x: 0 }, { x: 1 }, { x: 2, act }, { x: 3 }, { x: 4 }];
  const results = await Promise.all(inputs.map((input) => pool.run(source, [input], 'a')));
  expect(results).toEqual(inputs.map(({ x }) => [x === 2 ? result : row(x)]));
  await pool.close();
});

test('a tenant never uses the last thread', async () => {
  const pool = await poolOf(2, 2_000);
  const stuck = Promise.allSettled([1, 2, 3].map((x) => pool.run(source, [{ x, act: 'spin' }], 'a')));
  let isStuck = true;
  void stuck.then(() => {
    isStuck = false;
  });
  expect(await pool.run(source, [{ x: 9 }], 'b')).toEqual([row(9)]);
  expect(isStuck).toBe(true);
  await pool.close();
  await stuck;
});

test('inputs beyond the memory for waiting inputs are refused with queue_full', async () => {
  const pool = await poolOf(1, 60_000);
  const long = { x: 1, act: ' '.repeat(20_000_000) };
  const first = pool.run(source, [long], 'a');
  await expect(pool.run(source, [long], 'a')).rejects.toMatchObject({ code: 'queue_full' });
  expect(await pool.run(source, [{ x: 2 }], 'b')).toEqual([row(2)]);
  expect(await first).toEqual([row(1)]);
  expect(await pool.run(source, [long], 'a')).toEqual([row(1)]);
  await pool.close();
});

test('a closed pool refuses what waits', async () => {
  const pool = await poolOf(1, 60_000);
  const waiting = [pool.run(source, [{ x: 1, act: 'spin' }], 'a'), pool.run(source, [{ x: 2 }], 'a')];
  const ended = Promise.allSettled(waiting);
  await pool.close();
  expect((await ended)[1]).toMatchObject({ status: 'rejected', reason: { code: 'shutting_down' } });
});

test('a closed pool settles the requests that share a message', async () => {
  const pool = await poolOf(1, 60_000);
  const runs = [0, 1, 2].map((x) => pool.run(source, [{ x, act: x === 1 ? 'spin' : '' }], 'a'));
  const ended = Promise.allSettled(runs);
  await runs[0];
  // The second message is sent in this turn of the event loop.
  await new Promise(setImmediate);
  await pool.close();
  expect((await ended).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
});

test('a handler sees no environment variables, also where its thread has the compile cache of the API', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-compiled-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  enableCompileCache(folder);
  const pool = await poolOf(1, 60_000);
  expect(await pool.run(source, [{ x: 1, act: 'env' }], 'a')).toEqual([expect.objectContaining({ row: '{"env":[]}' })]);
  await pool.close();
});
