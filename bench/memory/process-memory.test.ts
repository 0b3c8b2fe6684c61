import { expect, test } from 'vitest';
import { memoryOf } from './process-memory.ts';

test.skipIf(process.platform !== 'linux')(
  'reads the memory of this process, and nothing of a process that has ended',
  () => {
    const [own] = memoryOf(process.pid);
    expect(own?.name).not.toBe('');
    expect(own?.anonMib).toBeGreaterThan(1);
    expect(own?.pssMib).toBeGreaterThanOrEqual(own?.anonMib ?? Number.NaN);
    expect(memoryOf(2 ** 30)).toEqual([]);
  },
);
