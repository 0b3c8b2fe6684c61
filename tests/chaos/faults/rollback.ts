/** The queue Redis starts again without the end of its append-only file, as after a power cut. */
import { spawn } from 'node:child_process';
import { appendFile, readFile, stat, truncate } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Context, Fault } from '../fault.ts';
import { startLoad } from '../load.ts';
import { slow } from '../models.ts';

const LOOK_MS = 50;

/** Kills Redis under load, damages its file and starts Redis again. */
function rolledBack(name: string, how: string, damage: (file: string, sizeBefore: number) => Promise<void>): Fault {
  return {
    name,
    how,
    async run(context) {
      const { stage, servers, random, note } = context;
      const load = startLoad(stage.client, random, {
        request: () => slow(5 + random() * 20),
        options: () => ({ mode: random() < 0.5 ? 'wait' : 'async', waitS: 2 }),
      });
      await delay(2_000);
      const file = await newestAof(path.join(servers.dir, 'redis'));
      const sizeBefore = (await stat(file)).size;
      await grow(file, sizeBefore);
      await delay(1_000);
      await servers.redis.kill();
      const size = (await stat(file)).size;
      await damage(file, sizeBefore);
      await servers.redis.start();
      const healedAt = Date.now();
      note(`${size - sizeBefore} bytes were written in the last second, of ${size}`);
      await delay(1_000);
      await load.stop();
      await untilNoStrayLocks(context, healedAt);
      return healedAt;
    },
  };
}

export const rollbackFaults: Fault[] = [
  rolledBack(
    'aof-cut-second',
    'kill -9 of the queue Redis under load, its append-only file shortened by the last second, started again',
    (file, sizeBefore) => truncate(file, sizeBefore),
  ),
  rolledBack(
    'aof-cut-half',
    'kill -9 of the queue Redis under load, its append-only file cut in half within a command, started again',
    async (file) => truncate(file, Math.floor((await stat(file)).size / 2)),
  ),
  rolledBack(
    'aof-garbage',
    'kill -9 of the queue Redis under load, the last second of its append-only file overwritten with garbage, redis-check-aof --fix, started again',
    async (file, sizeBefore) => {
      const { size } = await stat(file);
      await truncate(file, sizeBefore);
      await appendFile(file, Buffer.alloc(size - sizeBefore, '\u0007garbage\r\n$'));
      await fix(file);
    },
  ),
];

/** The file to which Redis currently appends. */
export async function newestAof(dataDir: string): Promise<string> {
  const folder = path.join(dataDir, 'appendonlydir');
  const manifest = await readFile(path.join(folder, 'appendonly.aof.manifest'), 'utf8');
  const names = [...manifest.matchAll(/^file (\S+) seq \d+ type i/gm)].map(([, name]) => name as string);
  return path.join(folder, names.at(-1) as string);
}

/** Resolves when the file has grown. */
async function grow(file: string, size: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  while ((await stat(file)).size <= size) {
    if (performance.now() > deadline) throw new Error('nothing was appended under load');
    await delay(LOOK_MS);
  }
}

async function fix(file: string): Promise<void> {
  const checker = spawn('redis-check-aof', ['--fix', file], { stdio: ['pipe', 'ignore', 'ignore'] });
  checker.stdin.end('y\n');
  const code = await new Promise((resolve, reject) => {
    checker.once('exit', resolve);
    checker.once('error', reject);
  });
  if (code !== 0) throw new Error(`redis-check-aof ended with ${code}`);
}

/** Notes the time until no job has a lock without an owner. At rest there is no such lock. */
async function untilNoStrayLocks({ stage, note, goal }: Context, healedAt: number): Promise<void> {
  const deadline = Date.now() + 40_000;
  for (;;) {
    const locks = await stage.withRedis((redis) => redis.keys(`${stage.keys.tag(0).split('{')[0]}*:lock`));
    const predictions = locks.filter((key) => key.includes('}:q:'));
    if (predictions.length === 0 || Date.now() > deadline) break;
    await delay(LOOK_MS);
  }
  const tookS = (Date.now() - healedAt) / 1_000;
  note(`all jobs were unlocked after ${tookS.toFixed(1)} s`);
  goal(tookS <= 5, `jobs were locked for ${tookS.toFixed(1)} s`);
}
