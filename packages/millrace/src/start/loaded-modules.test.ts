import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** The library of `fetch`, in the list of Node's own modules that a process has loaded. */
const FETCH = 'NativeModule internal/deps/undici/undici';

/** Whether a process that imports this module loads the library of `fetch`. */
async function loadsFetch(module: string): Promise<boolean> {
  const source = `await import(${JSON.stringify(module)});
    console.log(process.moduleLoadList.includes(${JSON.stringify(FETCH)}));
    process.exit();`;
  const args = ['--no-warnings', '--input-type=module', '--eval', source];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as boolean;
}

const programs = ['./launch.ts', '../../../../apps/api/src/server.ts', '../../../../apps/worker/src/worker.ts'];

test.each(programs)('%s loads no library of fetch, which takes 4 MiB of each process', async (program) => {
  expect(await loadsFetch(new URL(program, import.meta.url).href)).toBe(false);
});

test('an import of node:http loads the library of fetch: otherwise node-http.ts is needless', async () => {
  expect(await loadsFetch('node:http')).toBe(true);
});
