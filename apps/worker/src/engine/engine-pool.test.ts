import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { familyOf } from '@millrace/local/process/family';
import { tensorRowText } from '@millrace/shared/tensors/tensor-rows';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import {
  engineOptions,
  floatRow,
  longRow,
  MIB,
  outputOf,
  versionFiles,
} from '../../../../tests/support/engine-versions.ts';
import { onnxModel } from '../../../../tests/support/onnx-builder.ts';
import { centered, lookup, memoryHog, perceptron, recurrent, spinner } from '../../../../tests/support/onnx-models.ts';
import { createEnginePool, type EnginePool, type PoolOptions } from './engine-pool.ts';

/** Ends a test that hangs. Beside other work the hundred loads of one test took a minute. */
const HANGS_MS = 280_000;

let versions: ReturnType<typeof versionFiles>;
let pool: EnginePool;
const events: string[] = [];
const log = pino({ level: 'debug' }, { write: (line: string) => void events.push(JSON.parse(line).msg as string) });
const options = (more: Partial<PoolOptions> = {}): PoolOptions => engineOptions({ log, ...more });

beforeAll(() => {
  versions = versionFiles();
  pool = createEnginePool(options());
});
afterAll(async () => {
  await pool.close(1_000);
  versions.remove();
});

test('a batch gives each row its own result, in order', async () => {
  const rows = Array.from({ length: 200 }, (_, i) => floatRow([1, 2], i, -1));
  const results = await pool.run(versions.versionOf(perceptron()), rows);
  expect(results.map((result) => outputOf(result).y?.data)).toEqual(
    rows.map((_, i) => [Math.max(0, i - 2), Math.max(0, 2 - i)]),
  );
  expect(results[0]).toMatchObject({ batchSize: 64 });
  expect(results[199]).toMatchObject({ batchSize: 200 - 3 * 64 });
});

test('a failing row fails alone: 63 of 64 rows succeed', async () => {
  const rows = Array.from({ length: 64 }, (_, i) => longRow(i === 37 ? 99 : i % 4));
  const results = await pool.run(versions.versionOf(lookup()), rows);
  expect(results.filter(({ ok }) => ok)).toHaveLength(63);
  expect(results[37]).toMatchObject({ ok: false, code: 'inference_failed', detail: expect.stringContaining('out of') });
  expect(outputOf(results[38]!).y?.data).toEqual([12]);
});

test('a row that never ends is killed at its time limit, and fails alone', { timeout: HANGS_MS }, async () => {
  const version = versions.versionOf(spinner(), { timeoutMs: 500 });
  const rows = Array.from({ length: 8 }, (_, i) => longRow(i === 5 ? 1e15 : i));
  const results = await pool.run(version, rows);
  expect(results[5]).toEqual({ ok: false, code: 'inference_timeout', detail: 'it took longer than 500 ms' });
  expect(results.filter(({ ok }) => ok)).toHaveLength(7);
  expect(await pool.run(version, [longRow(3)])).toMatchObject([{ ok: true }]);
});

test('a row that uses all memory ends its engine and fails alone', { timeout: HANGS_MS }, async () => {
  const small = createEnginePool(options({ memoryLimitBytes: 500 * MIB }));
  const version = versions.versionOf(memoryHog());
  const rows = [3, 4, 200_000_000, 5].map(longRow);
  const results = await small.run(version, rows);
  expect(results.map(({ ok }) => ok)).toEqual([true, true, false, true]);
  expect(results[2]).toMatchObject({ code: 'inference_failed', detail: 'it took more than 500 MiB of memory' });
  await small.close(0);
});

test('an engine that has grown is replaced, and continues to run rows meanwhile', { timeout: HANGS_MS }, async () => {
  const small = createEnginePool(options({ recycleBytes: 300 * MIB }));
  const version = versions.versionOf(memoryHog());
  events.length = 0;
  const recycled = () => events.filter((event) => event === 'engine recycled').length;
  while (recycled() < 2) expect(await small.run(version, [longRow(40_000_000)])).toMatchObject([{ ok: true }]);
  expect(events.filter((event) => event === 'engine loaded')).toHaveLength(3);
  await vi.waitFor(() => expect(events.filter((event) => event === 'engine ended')).toHaveLength(2), {
    timeout: 60_000,
  });
  await small.close(0);
});

test('a model without batches runs one prediction at a time, with its tensors as given', async () => {
  const mean = await pool.run(versions.versionOf(centered(), { maxBatch: 1 }), [
    floatRow([2, 3], 1, 2, 3, 3, 4, 5),
    floatRow([1, 3], 1, 2, 3),
  ]);
  expect(mean.map((result) => outputOf(result).y)).toMatchObject([
    { shape: [2, 3], data: [-1, -1, -1, 1, 1, 1] },
    { data: [0, 0, 0] },
  ]);
  const state = tensorRowText({
    x: { dtype: 'float32', dims: [1, 4], data: Float32Array.of(1, 2, 3, 4) },
    state: { dtype: 'float32', dims: [2, 1, 4], data: new Float32Array(8).fill(1) },
  });
  const results = await pool.run(versions.versionOf(recurrent(), { maxBatch: 1 }), [state, state]);
  for (const result of results)
    expect(outputOf(result)).toMatchObject({ y: { data: [4, 6, 8, 10] }, next: { shape: [2, 1, 4] } });
});

test('a file that does not load fails every row once, with the reason', async () => {
  const results = await pool.run(versions.versionOf(Buffer.from('not a model')), [longRow(1), longRow(2)]);
  expect(results).toMatchObject([{ ok: false, code: 'inference_failed' }, { ok: false }]);
  expect(results[0]).toMatchObject({ detail: expect.stringContaining('could not be loaded') });
});

test('an abort kills the active run and leaves a pool that works', { timeout: HANGS_MS }, async () => {
  const version = versions.versionOf(spinner(), { timeoutMs: 20_000 });
  await pool.run(version, [longRow(1)]);
  const aborter = new AbortController();
  const run = pool.run(version, [longRow(1e15)], { signal: aborter.signal });
  aborter.abort(new Error('no longer wanted'));
  await expect(run).rejects.toThrow('no longer wanted');
  expect(await pool.run(version, [longRow(7)])).toMatchObject([{ ok: true }]);
});

test('runs wait for a free engine, and closing kills the runs that have not ended by the deadline', {
  timeout: HANGS_MS,
}, async () => {
  const other = createEnginePool(options());
  const version = versions.versionOf(spinner(), { timeoutMs: 60_000 });
  await other.warm(version);
  expect(other.free).toBe(1);
  const endless = other.run(version, [longRow(1e15)]);
  const waiting = other.run(version, [longRow(1)]);
  const ends = Promise.allSettled([endless, waiting]);
  expect(other.free).toBe(0);
  await other.close(100);
  expect((await ends).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await expect(other.run(version, [longRow(1)])).rejects.toThrow('closed');
});

test('memory is flat over 100 loads and unloads, and sessions beyond the budget are unloaded, least recently used first', {
  timeout: HANGS_MS,
}, async () => {
  const levels: number[] = [];
  const watching = pino(
    { level: 'debug' },
    {
      write: (line: string) => {
        const { msg, residentBytes } = JSON.parse(line) as Record<string, unknown>;
        if (msg === 'engine loaded') levels.push(residentBytes as number);
      },
    },
  );
  const weights = Buffer.alloc(8 * MIB, 1);
  const bytes = onnxModel({
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 1024] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 2048] }],
    initializers: [{ name: 'w', dtype: 'float32', dims: [1024, 2048], data: weights }],
  });
  const version = versions.versionOf(bytes);
  const row = floatRow([1, 1024], ...new Array<number>(1024).fill(0));
  const unloading = createEnginePool(options({ log: watching }));
  for (let i = 0; i < 100; i++) {
    expect(await unloading.run({ ...version, key: `u${i}` }, [row])).toMatchObject([{ ok: true }]);
    await unloading.unload(`u${i}`);
  }
  // The test uses the lowest of ten values: uncollected buffers come and go, and a leak of 8 MiB for each load would stay.
  expect(levels).toHaveLength(100);
  expect(Math.min(...levels.slice(90)) - Math.min(...levels.slice(20, 30))).toBeLessThan(30 * MIB);
  await unloading.close(0);
  levels.length = 0;
  const budgeted = createEnginePool(options({ log: watching, recycleBytes: 300 * MIB }));
  for (let i = 0; i < 60; i++)
    expect(await budgeted.run({ ...version, key: `b${i}` }, [row])).toMatchObject([{ ok: true }]);
  // Without a budget the last ten sessions would need more than 500 MiB.
  expect(levels).toHaveLength(60);
  expect(Math.min(...levels.slice(50))).toBeLessThan(300 * MIB);
  await budgeted.close(0);
});

test.skipIf(process.platform !== 'linux').each([
  ['/bin/sh', 1],
  ['/nowhere/sh', 0],
])(
  'an engine dies with its worker, also in a run that never ends (%s)',
  { timeout: HANGS_MS },
  async (shell, watches) => {
    const version = versions.versionOf(spinner());
    const source = `
    import { Engine } from '${new URL('./engine.ts', import.meta.url).href}';
    import { EngineWatch } from '${new URL('./engine-watch.ts', import.meta.url).href}';
    const engine = await Engine.start({ threads: 1, memoryLimitBytes: 2e9, watch: new EngineWatch('${shell}') });
    const { session } = await engine.load(${JSON.stringify({ content: version.content, handler: null, entities: {}, labels: {} })}, 9999);
    engine.run(session, [${JSON.stringify(longRow(1e15))}], 60_000).catch(() => {});
    process.stdout.write(String(engine.pid));
  `;
    const worker = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = Number(String((await once(worker.stdout!, 'data'))[0]));
    const isAlive = () => existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    expect(isAlive()).toBe(true);
    expect(familyOf(worker.pid as number)).toHaveLength(2 + watches);
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    await vi.waitFor(() => expect(isAlive()).toBe(false), { timeout: 30_000 });
  },
);

test.each([1, 2])(
  'many runs share %d engines: all return results, in the order of their start, and `whenFree` resolves when none waits',
  { timeout: HANGS_MS },
  async (engines) => {
    const shared = createEnginePool(options({ engines }));
    const version = versions.versionOf(perceptron());
    const ended: number[] = [];
    const aborted = AbortSignal.abort(new Error('not wanted'));
    const runs = Array.from({ length: 50 }, async (_, i) => {
      const run = shared.run(version, [floatRow([1, 2], i, 0)], i % 10 === 7 ? { signal: aborted } : {});
      const outcome = await run.then(
        ([result]) => outputOf(result!).y?.data[0],
        () => 'aborted',
      );
      ended.push(i);
      return outcome;
    });
    const endedWhenFree = Promise.all([shared.whenFree(), shared.whenFree()]).then(() => ended.length);
    expect(await Promise.all(runs)).toEqual(runs.map((_, i) => (i % 10 === 7 ? 'aborted' : i)));
    expect(await endedWhenFree).toBeGreaterThanOrEqual(48);
    const run = ended.filter((n) => n % 10 !== 7);
    if (engines === 1) expect(run).toEqual([...run].sort((a, b) => a - b));
    expect(shared.free).toBe(engines);
    await shared.close(1_000);
    await shared.whenFree();
  },
);
