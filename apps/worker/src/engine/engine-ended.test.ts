/** No prediction fails when an engine ends or stops for a reason outside the model. */
import { setImmediate as macrotask } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { engineOptions, longRow, outputOf, versionFiles } from '../../../../tests/support/engine-versions.ts';
import { spinner } from '../../../../tests/support/onnx-models.ts';
import { createEnginePool, type EnginePool, type PoolOptions } from './engine-pool.ts';

let versions: ReturnType<typeof versionFiles>;
beforeAll(() => {
  versions = versionFiles();
});
afterAll(() => versions.remove());

/** A pool that reports the process of each engine at its start, before the first load. */
function watchedPool(
  onStarted: (pid: number) => void = () => {},
  more: Partial<PoolOptions> = {},
): { pool: EnginePool; pids: number[] } {
  const pids: number[] = [];
  const write = (line: string) => {
    const { msg, pid } = JSON.parse(line) as { msg: string; pid: number };
    if (msg !== 'engine started') return;
    pids.push(pid);
    onStarted(pid);
  };
  const log = pino({ level: 'debug', base: null }, { write });
  return { pool: createEnginePool(engineOptions({ log, ...more })), pids };
}

/** Ends an engine between its next request and the response. */
async function killUnderWay(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await macrotask();
  process.kill(pid, 'SIGKILL');
}

test('a kill during a load fails no prediction: the next engine loads the version', async () => {
  let kills = 0;
  const { pool, pids } = watchedPool((pid) => {
    kills += 1;
    if (kills <= 2) void killUnderWay(pid);
  });
  const results = await pool.run(versions.versionOf(spinner()), [longRow(3), longRow(4)]);
  expect(results.map((result) => outputOf(result).y?.data)).toEqual([[3], [4]]);
  expect(pids).toHaveLength(3);
  await pool.close(0);
});

test('a version that ends its engine at every load fails with the reason', async () => {
  const { pool, pids } = watchedPool((pid) => void killUnderWay(pid));
  const [result] = await pool.run(versions.versionOf(spinner()), [longRow(3)]);
  expect(result).toMatchObject({
    ok: false,
    code: 'inference_failed',
    detail: 'the model could not be loaded: the engine ended by SIGKILL',
  });
  expect(pids).toHaveLength(4);
  await pool.close(0);
});

test('a row that is alone when its engine is killed runs again, and fails only when it ends the second engine too', async () => {
  const { pool, pids } = watchedPool();
  const version = versions.versionOf(spinner());
  await pool.warm(version);
  const run = pool.run(version, [longRow(5)]);
  await killUnderWay(pids[0]!);
  expect(outputOf((await run)[0]!).y?.data).toEqual([5]);
  expect(pids).toHaveLength(2);
  await pool.close(0);
});

test.skipIf(process.platform !== 'linux')(
  'an engine that a signal stopped is replaced, and the next engine runs its row',
  async () => {
    const { pool, pids } = watchedPool();
    const version = versions.versionOf(spinner(), { timeoutMs: 500 });
    await pool.warm(version);
    process.kill(pids[0]!, 'SIGSTOP');
    expect(outputOf((await pool.run(version, [longRow(6)]))[0]!).y?.data).toEqual([6]);
    expect(pids).toHaveLength(2);
    await pool.close(0);
  },
);

test('a worker that was stopped itself fails no row for the time that has passed', async () => {
  const { pool, pids } = watchedPool();
  const version = versions.versionOf(spinner(), { timeoutMs: 1_000 });
  await pool.warm(version);
  const run = pool.run(version, [longRow(7)]);
  await macrotask();
  // This loop blocks the process as SIGSTOP does.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000);
  expect(outputOf((await run)[0]!).y?.data).toEqual([7]);
  expect(pids).toHaveLength(1);
  await pool.close(0);
});

/** Whether a process runs. */
function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('an engine without a run is ended, and the next run starts a new engine', async () => {
  const { pool, pids } = watchedPool(undefined, { idleMs: 1 });
  const version = versions.versionOf(spinner());
  await pool.run(version, [longRow(3)]);
  await expect.poll(() => runs(pids[0] as number), { interval: 100 }).toBe(false);
  const results = await Promise.all([pool.run(version, [longRow(4)]), pool.run(version, [longRow(5)])]);
  expect(results.flat().map((result) => outputOf(result).y?.data)).toEqual([[4], [5]]);
  expect(pids).toHaveLength(2);
  await pool.close(0);
});

test('`alive` counts the engines that run', async () => {
  const { pool, pids } = watchedPool();
  expect([pool.size, pool.alive]).toEqual([1, 0]);
  await pool.run(versions.versionOf(spinner()), [longRow(3)]);
  expect(pool.alive).toBe(1);
  process.kill(pids[0] as number, 'SIGKILL');
  await expect.poll(() => pool.alive).toBe(0);
  await pool.run(versions.versionOf(spinner()), [longRow(3)]);
  expect(pool.alive).toBe(1);
  await pool.close(0);
  expect(pool.alive).toBe(0);
});

test('the line about an ended engine names the predictions of the run', async () => {
  const ended: Record<string, unknown>[] = [];
  const write = (line: string) => {
    const { msg, pid, ...fields } = JSON.parse(line) as { msg: string; pid: number };
    if (msg === 'engine loaded' && ended.length === 0) process.kill(first, 'SIGSTOP');
    if (msg === 'engine started') first = pid;
    if (msg === 'engine ended') ended.push(fields);
  };
  let first = 0;
  const log = pino({ level: 'debug', base: null }, { write });
  const pool = createEnginePool(engineOptions({ log }));
  const lookedUp: number[] = [];
  const idsOf = (rows: readonly unknown[]) => {
    lookedUp.push(rows.length);
    return ['a', 'b', 'c', 'd', 'e', 'f'];
  };
  const version = versions.versionOf(spinner());
  await pool.warm(version);
  const running = pool.run(version, [longRow(3), longRow(4)], { idsOf });
  await macrotask();
  process.kill(first, 'SIGKILL');
  await running;
  expect(ended).toMatchObject([{ end: 'signal', model: version.model, rows: 2, ids: ['a', 'b', 'c', 'd', 'e'] }]);
  // Nothing looks for the predictions before an engine ends.
  expect(lookedUp).toEqual([2]);
  await pool.close(0);
});
