import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { devNull } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { startGuard } from '@millrace/local/process/guard';
import { startPart } from '@millrace/local/process/part';
import { isRunning } from '@millrace/local/process/processes';
import { describe, expect, test } from 'vitest';

describe('a guard', () => {
  test('ends all parts and their children when the launcher is killed', async () => {
    const launcher = spawn(process.execPath, [path.join(import.meta.dirname, 'fixtures/guarded.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface({ input: launcher.stdout }), 'line')) as [string];
    const pids = line.split(' ').map(Number);
    expect(pids).toHaveLength(3);
    expect(await Promise.all(pids.map(isRunning))).toEqual([true, true, true]);
    launcher.kill('SIGKILL');
    await expect.poll(() => Promise.all(pids.map(isRunning)), { timeout: 60_000 }).toEqual([false, false, false]);
  });

  test('ends together with the processes that it guards', async () => {
    const guard = startGuard();
    const part = await startPart(guard, scripted('setInterval(() => {}, 1000)'));
    await guard.close();
    expect(await part.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });
});

describe('a part', () => {
  test('that ignores the stop signal is killed at its deadline', async () => {
    const guard = startGuard();
    const ready = Promise.withResolvers<string>();
    const stubborn = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('ready')`;
    const part = await startPart(guard, { ...scripted(stubborn), stopTimeoutMs: 50, onLine: ready.resolve });
    await ready.promise;
    expect(await part.stop()).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await part.stop()).toEqual({ code: null, signal: 'SIGKILL' });
    await guard.close();
  });

  test('that ends by itself reports its exit code and its last lines', async () => {
    const guard = startGuard();
    const part = await startPart(guard, scripted(`console.log('one'); console.error('two'); process.exitCode = 3`));
    expect(await part.exited).toEqual({ code: 3, signal: null });
    expect(part.lastLines().sort()).toEqual(['one', 'two']);
    await guard.close();
  });

  test('that cannot run at all causes a readable error', async () => {
    const guard = startGuard();
    const missing = startPart(guard, { ...scripted(''), command: '/nowhere/program' });
    await expect(missing).rejects.toThrow('part: /nowhere/program cannot be run');
    await guard.close();
  });
});

function scripted(script: string) {
  return {
    name: 'part',
    command: process.execPath,
    args: ['-e', script],
    stopSignal: 'SIGTERM' as const,
    stopTimeoutMs: 5_000,
    logFile: devNull,
  };
}
