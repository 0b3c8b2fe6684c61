import { setImmediate as nextTurn } from 'node:timers/promises';
import pino from 'pino';
import { expect, test, vi } from 'vitest';
import { PromisedInputs } from './promised-inputs.ts';

const KB_100 = 'x'.repeat(100_000);
const LIMIT = 250_000;

function promisedInputs(bytesInPostgres: () => Promise<number>) {
  const refused: string[] = [];
  const params = { limitBytes: LIMIT, readBytes: bytesInPostgres, onRefused: (model: string) => refused.push(model) };
  const inputs = new PromisedInputs({ ...params, log: pino({ level: 'silent' }) });
  const check = (task = KB_100) => inputs.check({ task, model: 'm' });
  return { inputs, check, refused };
}

test('tasks are refused from the limit on, also while their commits are in progress', async () => {
  const { inputs, check, refused } = promisedInputs(async () => 0);
  await check();
  const commits = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const counting = commits.map(({ promise }) => inputs.counted({ task: KB_100 }, () => promise));
  await expect(check()).rejects.toThrow(
    'The large inputs of open predictions take 0 MB in Postgres, and 0 MB are allowed. Send the request again later, or wait for its result with Prefer: wait.',
  );
  expect(refused).toEqual(['m']);
  commits[0]?.resolve();
  commits[1]?.reject(new Error('refused'));
  await Promise.allSettled(counting);
  expect(inputs.bytes).toBe(100_000);
  await check();
});

test('a small task has no limit, and a task that is larger than the limit is taken alone', async () => {
  const { inputs, check } = promisedInputs(async () => 0);
  await check('x'.repeat(300_000));
  await inputs.counted({ task: 'x'.repeat(300_000) }, async () => {});
  await expect(check()).rejects.toThrow('The large inputs');
  await check('x'.repeat(60_000));
  await inputs.counted({ task: 'x'.repeat(60_000) }, async () => {});
  expect(inputs.bytes).toBe(300_000);
});

test('the sum of Postgres counts other processes, and replaces what this process committed before its read', async () => {
  let inPostgres = 200_000;
  const now = vi.spyOn(performance, 'now').mockReturnValue(0);
  const { inputs, check } = promisedInputs(async () => inPostgres);
  await inputs.counted({ task: KB_100 }, async () => {});
  await check();
  await nextTurn();
  expect(inputs.bytes).toBe(200_000);
  await inputs.counted({ task: KB_100 }, async () => {});
  await expect(check()).rejects.toThrow('The large inputs');
  // Their predictions have succeeded.
  inPostgres = 0;
  now.mockReturnValue(1_001);
  await check();
  expect(inputs.bytes).toBe(0);
  now.mockRestore();
});

test('a read that fails is repeated, and a slow read is repeated later', async () => {
  let reads = 0;
  const now = vi.spyOn(performance, 'now').mockReturnValue(0);
  const { inputs, check } = promisedInputs(async () => {
    reads += 1;
    if (reads === 1) throw new Error('away');
    now.mockReturnValue(performance.now() + 1_000);
    return 300_000;
  });
  await check();
  await nextTurn();
  expect([reads, inputs.bytes]).toEqual([1, 0]);
  now.mockReturnValue(1_001);
  await check();
  await nextTurn();
  expect([reads, inputs.bytes]).toEqual([2, 300_000]);
  now.mockReturnValue(20_000);
  await expect(check()).rejects.toThrow('The large inputs');
  expect(reads).toBe(2);
  now.mockReturnValue(23_000);
  await expect(check()).rejects.toThrow('The large inputs');
  expect(reads).toBe(3);
  now.mockRestore();
});
