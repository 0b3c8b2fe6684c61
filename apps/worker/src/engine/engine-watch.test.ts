/** The watch of real processes. `engine-pool.test.ts` has the death of a worker during a run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { familyOf } from '@millrace/local/process/family';
import { afterEach, expect, test } from 'vitest';
import { EngineWatch } from './engine-watch.ts';

const sleepers: ChildProcess[] = [];
afterEach(() => {
  for (const sleeper of sleepers.splice(0)) sleeper.kill('SIGKILL');
});

function sleeper(): { pid: number; exited: Promise<unknown> } {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  sleepers.push(child);
  return { pid: child.pid as number, exited: once(child, 'exit') };
}

/** The shells of the watches of this process. */
const shells = (): number[] =>
  familyOf(process.pid).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('millrace-engine-watch');
    } catch {
      return false;
    }
  });

test.skipIf(process.platform !== 'linux')(
  'engines share a shell, which starts again after a kill and ends with the last engine',
  { timeout: 60_000 },
  async () => {
    const before = new Set(shells());
    const own = () => shells().filter((pid) => !before.has(pid));
    const watch = new EngineWatch();
    const [one, two] = [sleeper(), sleeper()];
    for (const { pid } of [one, two]) {
      expect(watch.start()).toBe(true);
      watch.add(pid);
    }
    await expect.poll(own, { timeout: 20_000 }).toHaveLength(1);
    const [first] = own() as [number];
    process.kill(first, 'SIGKILL');
    await expect.poll(() => own().filter((pid) => pid !== first), { timeout: 20_000 }).toHaveLength(1);
    watch.remove(one.pid);
    watch.remove(two.pid);
    await expect.poll(own, { timeout: 20_000 }).toEqual([]);
    // A removed process is not killed.
    for (const { pid } of [one, two]) expect(process.kill(pid, 0)).toBe(true);
  },
);

test.skipIf(process.platform !== 'linux')(
  'a shell that started again ends the engines of its dead worker',
  { timeout: 60_000 },
  async () => {
    const { pid, exited } = sleeper();
    const source = `
      import { EngineWatch } from '${new URL('./engine-watch.ts', import.meta.url).href}';
      const watch = new EngineWatch();
      watch.start();
      watch.add(${pid});
      setInterval(() => {}, 1_000);
      console.log('watching');
    `;
    const worker = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(worker.stdout, 'data');
    const shell = () => familyOf(worker.pid as number)[1];
    const first = shell() as number;
    process.kill(first, 'SIGKILL');
    await expect.poll(() => shell() !== undefined && shell() !== first, { timeout: 20_000 }).toBe(true);
    worker.kill('SIGKILL');
    expect(await exited).toEqual([null, 'SIGKILL']);
  },
);

test('a watch without a shell does not start', () => {
  expect(new EngineWatch('/nowhere/sh').start()).toBe(false);
});
