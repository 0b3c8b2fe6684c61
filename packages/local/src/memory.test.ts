import { expect, test } from 'vitest';
import { inMegabytes, machineMemory, redisMemory } from './memory.ts';

const MIB = 1_048_576;
const of = (machineMib: number, env: NodeJS.ProcessEnv = {}) => {
  const { queue, cache } = redisMemory(env, machineMib * MIB);
  return [queue / MIB, cache / MIB];
};

test('the limits are a share of the machine, and at most a quarter of a machine with 512 MB', () => {
  expect(of(256)).toEqual([64, 32]);
  expect(of(512)).toEqual([64, 32]);
  expect(of(1_024)).toEqual([128, 64]);
  expect(of(8_192)).toEqual([1_024, 512]);
  expect(of(262_144)).toEqual([2_048, 1_024]);
});

test('QUEUE_MEMORY and CACHE_MEMORY override the limits, in the units of Redis', () => {
  expect(of(8_192, { QUEUE_MEMORY: '3gb', CACHE_MEMORY: '100MB' })).toEqual([3_072, 100]);
  expect(redisMemory({ QUEUE_MEMORY: '10000000', CACHE_MEMORY: '9m' }, MIB)).toEqual({ queue: 1e7, cache: 9e6 });
  expect(of(8_192, { QUEUE_MEMORY: '' })).toEqual([1_024, 512]);
});

test.each(['1mb', '0', '-5', '512 mb', '5tb', 'much', '1e9', '512mbb'])('%s is refused', (text) => {
  expect(() => redisMemory({ CACHE_MEMORY: text }, MIB)).toThrow(`CACHE_MEMORY is '${text}', and must be a size`);
});

test('the memory of this machine is read', () => {
  expect(machineMemory()).toBeGreaterThan(64 * MIB);
  expect(inMegabytes(1.5 * MIB)).toBe('2 MB');
});
