/** Faults of a whole machine: a power cut, and no file descriptors left. */
import { execFile } from 'node:child_process';
import { readdir, stat, truncate } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Fault } from '../fault.ts';
import { startLoad } from '../load.ts';
import type { Servers } from '../servers.ts';
import type { Stage } from '../stage.ts';
import { newestAof } from './rollback.ts';

const run = promisify(execFile);
/** Bytes at the end of the append-only file that a power cut can lose: Redis writes the file to the disk once a second. */
const UNSYNCED_BYTES = 20_000;
const CONNECTIONS = 60;

/** Kills every process of the stage and every server, without a wait between two kills. */
async function cutPower({ apis, workers }: Stage, { redis, cache, postgres }: Servers): Promise<void> {
  const engines = workers.flatMap((worker) => worker.children());
  const killed = [...apis, ...workers].map((program) => program.kill());
  killed.push(redis.kill(), cache.kill(), postgres.kill());
  await Promise.all(killed);
  for (const pid of engines) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The engine ended with its worker.
    }
  }
}

/** Sets the most file descriptors of a process, and leaves the hard limit. */
const limitFiles = (pid: number, files: number) => run('prlimit', ['--pid', String(pid), `--nofile=${files}:`]);

const openFiles = async (pid: number): Promise<number> => (await readdir(`/proc/${pid}/fd`)).length;

async function softLimit(pid: number): Promise<number> {
  const { stdout } = await run('prlimit', [
    '--pid',
    String(pid),
    '--nofile',
    '--raw',
    '--noheadings',
    '--output',
    'SOFT',
  ]);
  return Number(stdout);
}

function openSocket(url: string): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  return socket;
}

export const machineFaults: Fault[] = [
  {
    name: 'power-cut',
    how: 'kill -9 of API, workers, engines, both Redis and Postgres at once under load, the queue Redis loses up to 20 kB of its append-only file, all started again, ten times (twice in the short form)',
    async run({ stage, servers, random, short, note }) {
      const load = startLoad(stage.client, random);
      const times = short ? 2 : 10;
      let lostBytes = 0;
      let healedAt = Date.now();
      for (let n = 0; n < times; n += 1) {
        await delay(1_000 + random() * 1_500);
        await cutPower(stage, servers);
        const file = await newestAof(path.join(servers.dir, 'redis'));
        const { size } = await stat(file);
        const lost = Math.min(size, Math.floor(random() * UNSYNCED_BYTES));
        lostBytes += lost;
        await truncate(file, size - lost);
        await Promise.all([servers.redis.start(), servers.cache.start(), servers.postgres.start()]);
        await Promise.all([stage.startWorker(), stage.startApi()]);
        await stage.untilServed();
        healedAt = Date.now();
      }
      await delay(1_000);
      await load.stop();
      note(`${times} cuts, ${lostBytes} bytes of the append-only file lost`);
      return healedAt;
    },
  },
  {
    name: 'descriptors-exhausted',
    how: 'the API and the worker get no further file descriptor for 5 s under load, while clients open 60 connections; then the limit is raised',
    async run({ stage, random, note, expect }) {
      const load = startLoad(stage.client, random, { options: () => ({ mode: 'async' }) });
      await delay(1_500);
      const programs = [...stage.apis, ...stage.workers];
      const limits = await Promise.all(programs.map(({ pid }) => softLimit(pid)));
      for (const { pid } of programs) await limitFiles(pid, await openFiles(pid));
      const from = Date.now();
      const sockets = Array.from({ length: CONNECTIONS }, () => openSocket(stage.apis[0]?.url ?? ''));
      await delay(5_000);
      const during = stage.client.replies.filter(({ atMs }) => atMs > from);
      for (const [at, { pid }] of programs.entries()) await limitFiles(pid, limits[at] as number);
      const healedAt = Date.now();
      for (const socket of sockets) socket.destroy();
      await delay(1_000);
      await load.stop();
      const kept = during.filter(({ status }) => status === 202).length;
      note(`meanwhile ${kept} of ${during.length} requests promised`);
      const ended = programs.filter((program) => ![...stage.apis, ...stage.workers].includes(program));
      expect(ended.length === 0, `${ended.map(({ kind }) => kind).join(' and ')} ended without file descriptors`);
      return healedAt;
    },
  },
];
