import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('V8 knows the flag: it prints an unknown flag, and goes on without it', async () => {
  const module = new URL('heap-growth.ts', import.meta.url).href;
  const code = (call: string) => `import { setFlagsFromString } from 'node:v8';
    import { letHeapGrow } from ${JSON.stringify(module)};
    ${call}`;
  const run = async (call: string) => {
    const args = ['--no-warnings', '--input-type=module', '--eval', code(call)];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
    return stdout + stderr;
  };
  expect(await run('letHeapGrow()')).toBe('');
  expect(await run("setFlagsFromString('--heap-growing-factor-of-nobody=1')")).not.toBe('');
});
