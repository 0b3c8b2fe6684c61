/** A full disk under the queue Redis and under Postgres. The data of the server is on a small file system of its own meanwhile. */
import { execFile } from 'node:child_process';
import { open, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Reply } from '../client.ts';
import { type Context, type Fault, firstResultS, slowest } from '../fault.ts';
import { startLoad } from '../load.ts';
import type { Server } from '../servers.ts';

const run = promisify(execFile);
const MIB = 1_048_576;
/** Longer than every time limit of a store. */
const FULL_MS = 12_000;

interface SmallDisk {
  /** Fills the disk to its last byte. */
  fill(): Promise<void>;
  free(): Promise<void>;
  /** Moves the data back. */
  remove(): Promise<void>;
}

/**
 * Moves the data of a server to a file system with `freeBytes` beside the data. Resolves to undefined where this process may not mount a
 * file system. When the promise is rejected, the data is where it was.
 */
async function smallDisk(server: Server, dataDir: string, freeBytes: number): Promise<SmallDisk | undefined> {
  const kept = `${dataDir}.kept`;
  const { uid, gid, mode } = await stat(dataDir);
  const copy = (from: string, to: string) => run('cp', ['-a', `${from}/.`, to]);
  const unmount = async () => {
    await run('umount', [dataDir]);
    await server.start();
  };
  await server.kill();
  await run('cp', ['-a', dataDir, kept]);
  const { stdout } = await run('du', ['-s', '-B1', kept]);
  const size = Number.parseInt(stdout, 10) + freeBytes;
  try {
    await run('mount', [
      ...['-t', 'tmpfs', '-o', `size=${size},uid=${uid},gid=${gid},mode=${(mode & 0o777).toString(8)}`],
      ...['tmpfs', dataDir],
    ]);
  } catch {
    await rm(kept, { recursive: true, force: true });
    await server.start();
    return undefined;
  }
  try {
    await copy(kept, dataDir);
  } catch (error) {
    await unmount();
    throw error;
  } finally {
    await rm(kept, { recursive: true, force: true });
  }
  await server.start();
  const filler = path.join(dataDir, 'filler');
  return {
    async fill() {
      const file = await open(filler, 'a');
      try {
        // Each write halves after an error, down to the last page.
        for (let size = 4 * MIB; size >= 4_096; ) {
          const written = await file.write(Buffer.alloc(size)).catch(() => undefined);
          if (written === undefined || written.bytesWritten < size) size /= 2;
        }
      } finally {
        await file.close();
      }
    },
    free: () => rm(filler, { force: true }),
    async remove() {
      await server.kill();
      await run('cp', ['-a', dataDir, kept]);
      await run('umount', [dataDir]);
      // The data from before the mount is there again.
      for (const name of await readdir(dataDir)) await rm(path.join(dataDir, name), { recursive: true });
      await copy(kept, dataDir);
      await rm(kept, { recursive: true, force: true });
      await server.start();
    },
  };
}

/** Whether a server responds. A server that ended for lack of space is started again, as a supervisor does. */
async function untilAlive(server: Server, responds: () => Promise<unknown>): Promise<boolean> {
  try {
    await responds();
    return true;
  } catch {
    await server.kill();
    await server.start();
    return false;
  }
}

interface FullDisk {
  server: Server;
  dataDir: string;
  /** The free bytes of the disk at first. */
  freeBytes: number;
  responds(): Promise<unknown>;
}

/** Fills the disk of a server under load, and frees the disk. Resolves to the moment of the healing. */
async function fillUnderLoad({ stage, random, note, expect }: Context, full: FullDisk): Promise<number | undefined> {
  const disk = await smallDisk(full.server, full.dataDir, full.freeBytes);
  if (disk === undefined) {
    note('not run: this process may not mount a file system');
    return undefined;
  }
  stage.atEnd(() => disk.remove());
  await stage.untilServed();
  const load = startLoad(stage.client, random);
  await delay(1_500);
  await disk.fill();
  const from = Date.now();
  await delay(FULL_MS);
  const during = stage.client.replies.filter(({ atMs, tookMs }) => atMs - tookMs > from + 2_000);
  await disk.free();
  const stayed = await untilAlive(full.server, full.responds);
  const healedAt = Date.now();
  await delay(2_000);
  await load.stop();
  note(
    `meanwhile ${summary(during)}, the slowest in ${slowest(during)} ms; the server ${stayed ? 'stayed' : 'ended and was started again'}; then a result after ${firstResultS(stage, healedAt)}`,
  );
  const wrong = during.filter(({ status }) => status >= 500 && status !== 503);
  expect(wrong.length === 0, `not 503 on a full disk: ${summary(wrong)}`);
  return healedAt;
}

function summary(replies: readonly Reply[]): string {
  const counts = new Map<number, number>();
  for (const { status } of replies) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${count} times ${status}`).join(', ') || 'no response';
}

export const fullDiskFaults: Fault[] = [
  {
    name: 'disk-full-redis',
    how: 'the disk under the append-only file of the queue Redis is full for 12 s under load',
    run: (context) =>
      fillUnderLoad(context, {
        server: context.servers.redis,
        dataDir: path.join(context.servers.dir, 'redis'),
        freeBytes: 64 * MIB,
        responds: () => context.stage.withRedis((redis) => redis.ping()),
      }),
  },
  {
    name: 'disk-full-postgres',
    how: 'the disk under Postgres is full for 12 s under load; a Postgres that ends is started again',
    run: (context) =>
      fillUnderLoad(context, {
        server: context.servers.postgres,
        dataDir: path.join(context.servers.dir, 'postgres'),
        freeBytes: 512 * MIB,
        responds: () => context.stage.sql('SELECT 1'),
      }),
  },
];
