import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { growthPercentOf } from './heap-growth.ts';

const module = new URL('heap-growth.ts', import.meta.url).href;

/** The output of a process that runs the code. */
async function run(call: string): Promise<string> {
  const code = `import { setFlagsFromString } from 'node:v8';
    import { letHeapGrow, setHeapGrowth } from ${JSON.stringify(module)};
    ${call}`;
  const args = ['--no-warnings', '--input-type=module', '--eval', code];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  return stdout + stderr;
}

test('V8 knows the flag: it prints an unknown flag, and goes on without it', async () => {
  expect(await run('letHeapGrow(); setHeapGrowth(25);')).toBe('');
  expect(await run("setFlagsFromString('--heap-growing-factor-of-nobody=1')")).not.toBe('');
});

test('a process with many open connections lets its heap grow less, and never less than by a quarter', () => {
  expect([0, 64, 800, 4_000, 10_000, 1_000_000].map(growthPercentOf)).toEqual([150, 149, 140, 100, 25, 25]);
});
