import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { lockFolder } from '@millrace/local/process/folder-lock';
import { afterEach, beforeEach, expect, test } from 'vitest';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-lock-'));
});
afterEach(() => rm(dir, { recursive: true }));

test('a folder is locked until the lock is released', async () => {
  const unlock = await lockFolder(dir);
  expect(await readdir(dir)).toEqual(['lock']);
  await unlock();
  expect(await readdir(dir)).toEqual([]);
});

test('a running start keeps the folder', async () => {
  // `npm start` runs a program with this name. A process with another name does not hold the lock.
  const holder = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'scripts/start.ts']);
  await once(holder, 'spawn');
  await writeFile(path.join(dir, 'lock'), `${holder.pid}\n`);
  await expect(lockFolder(dir)).rejects.toThrow(`Millrace already runs in this folder (process ${holder.pid})`);
  holder.kill();
  await once(holder, 'exit');
  await (await lockFolder(dir))();
});

test.each(['', 'no number', '999999999', String(process.ppid)])(
  'a lock file with the content %j is taken over',
  async (content) => {
    await writeFile(path.join(dir, 'lock'), content);
    await (await lockFolder(dir))();
  },
);
