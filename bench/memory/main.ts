/**
 * `npm run bench:memory` starts `npm start` in a new folder and prints the memory (PSS) of each process: a minute after the start, after a
 * minute of load with the bundled model, and a minute later. `--long` adds two moments: six minutes after the start (a minute after
 * ENGINE_IDLE), with the time of the next prediction, and eleven minutes after the load (a minute after LIVE_TTL_MS). A worker keeps an
 * engine that started slowly for longer than ENGINE_IDLE. Linux only.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@millrace/local/process/ports';
import { predictionsPath } from '../rivals/model.ts';
import { memoryOf } from './process-memory.ts';

const PAUSE_MS = 60_000;
/** ENGINE_IDLE is five minutes. */
const REST_MS = 6 * PAUSE_MS;
/** LIVE_TTL_MS is ten minutes. */
const LONG_REST_MS = 11 * PAUSE_MS;
const LOAD_MS = 60_000;
const CLIENTS = 32;

const isLong = process.argv.includes('--long');
const root = path.resolve(import.meta.dirname, '../..');
const dir = await mkdtemp(path.join(tmpdir(), 'millrace-memory-'));
const port = await freePort('127.0.0.1');
const start = spawn('npm', ['start'], {
  cwd: root,
  env: { ...process.env, MILLRACE_DIR: dir, PORT: String(port) },
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  await untilServing();
  await delay(PAUSE_MS);
  await print('a minute after the start');
  if (isLong) {
    await delay(REST_MS - PAUSE_MS);
    await print('six minutes after the start');
    const startedMs = performance.now();
    const status = await predict('Warfarin', 'Aspirin', { 'cache-control': 'no-cache' });
    console.log(`the next prediction: HTTP ${status} after ${Math.round(performance.now() - startedMs)} ms`);
  }
  console.log(`${await load()} predictions in a minute`);
  await print('after the load');
  await delay(PAUSE_MS);
  await print('a minute after the load');
  if (isLong) {
    await delay(LONG_REST_MS - PAUSE_MS);
    await print('eleven minutes after the load');
  }
} finally {
  const ended = once(start, 'exit');
  start.kill('SIGTERM');
  await ended;
  await rm(dir, { recursive: true, force: true });
}

/** The last text of `npm start` has this word. The output is read to its end, because a full pipe would stop the process. */
async function untilServing(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  createInterface({ input: start.stdout }).on('line', (line) => line.includes('Ctrl-C') && resolve());
  await promise;
}

/** Half of the predictions run the model, and the others may be hits. */
async function load(): Promise<number> {
  const csv = await readFile(path.join(root, 'models/drug-interaction/entities/drug.csv'), 'utf8');
  const names = csv.split('\n').flatMap((line, at) => (at > 0 && /^[A-Za-z]+,/.test(line) ? [line.split(',')[0]] : []));
  const one = () => names[Math.floor(Math.random() * names.length)];
  const untilMs = performance.now() + LOAD_MS;
  let sent = 0;
  const client = async () => {
    for (; performance.now() < untilMs; sent += 1)
      await predict(one(), one(), sent % 2 === 0 ? { 'cache-control': 'no-cache' } : {});
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return sent;
}

/** Waits for the result, and returns the status of the response. */
async function predict(a = '', b = '', headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}${predictionsPath}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30', ...headers },
    body: JSON.stringify({ input: { drug_a: a, drug_b: b } }),
  });
  await response.arrayBuffer();
  return response.status;
}

async function print(moment: string): Promise<void> {
  const processes = memoryOf(start.pid ?? 0);
  console.log(`\n${moment}, MiB (PSS; anonymous)`);
  for (const { name, pssMib, anonMib } of processes)
    console.log(`  ${pssMib.toFixed(1).padStart(7)} ${anonMib.toFixed(1).padStart(7)}  ${name}`);
  console.log(
    `  ${processes
      .reduce((sum, { pssMib }) => sum + pssMib, 0)
      .toFixed(1)
      .padStart(7)}          all`,
  );
}
