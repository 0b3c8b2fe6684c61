/**
 * Measures the cost for a worker to send a batch to an engine and receive the outputs: frames over a socket pair,
 * compared with both serializations of process.send. The engine only replies and runs no model. Prints a table in
 * Markdown.
 *
 *     node_modules/.bin/node bench/transport/main.ts
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { FrameReader, textsFrame } from '../../apps/worker/src/engine/protocol/frames.ts';
import { median } from '../statistics.ts';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
const SECONDS = 1;
const ROUNDS = 3;

interface Way {
  name: string;
  start(): { child: ChildProcess; run(rows: readonly string[]): Promise<string[]> };
}

function frames(): ReturnType<Way['start']> {
  const child = spawn(process.execPath, [CHILD, 'frames'], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
  const socket = child.stdio[3] as Duplex;
  const reader = new FrameReader();
  const waiting: ((outputs: string[]) => void)[] = [];
  socket.on('data', (chunk: Buffer) => {
    for (const { body } of reader.push(chunk)) waiting.shift()?.(body.toString('utf8').split('\n'));
  });
  return {
    child,
    run: (rows) =>
      new Promise((resolve) => {
        waiting.push(resolve);
        socket.write(textsFrame({ type: 2, id: 0 }, rows, { prefixBytes: 0, before: '[', between: ',', after: ']' }));
      }),
  };
}

const send = (serialization: 'json' | 'advanced') => (): ReturnType<Way['start']> => {
  const stdio: ('ignore' | 'inherit' | 'ipc')[] = ['ignore', 'inherit', 'inherit', 'ipc'];
  const child = spawn(process.execPath, [CHILD, 'send'], { stdio, serialization });
  const waiting: ((outputs: string[]) => void)[] = [];
  child.on('message', (outputs) => waiting.shift()?.(outputs as string[]));
  return {
    child,
    run: (rows) =>
      new Promise((resolve) => {
        waiting.push(resolve);
        child.send(rows);
      }),
  };
};

const WAYS: Way[] = [
  { name: 'frames', start: frames },
  { name: 'send, json', start: send('json') },
  { name: 'send, advanced', start: send('advanced') },
];
const ROWS: [string, (i: number) => string][] = [
  ['a pair of names (27 bytes)', (i) => JSON.stringify(['abiraterone', `warfarin${String(i).padStart(3, '0')}`])],
  ['2,382 floats (12.7 KB)', (i) => `{"x":{"dtype":"float32","dims":[1,2382],"data":"${'Ab3/'.repeat(3176)}${i}"}}`],
];

async function measure(way: Way, rows: readonly string[]): Promise<{ roundTripUs: number; cpuUs: number }> {
  const { child, run } = way.start();
  for (let i = 0; i < 50; i++) await run(rows);
  const cpu = process.cpuUsage();
  const started = performance.now();
  let batches = 0;
  for (; performance.now() - started < SECONDS * 1_000; batches++) {
    const outputs = await run(rows);
    if (outputs.length !== rows.length) throw new Error('outputs are missing');
  }
  const roundTripUs = ((performance.now() - started) * 1_000) / batches;
  const { user, system } = process.cpuUsage(cpu);
  child.kill();
  return { roundTripUs, cpuUs: (user + system) / batches };
}

for (const [rowKind, rowOf] of ROWS) {
  for (const count of [1, 64, 256]) {
    const rows = Array.from({ length: count }, (_, i) => rowOf(i));
    const results = new Map<string, { roundTripUs: number; cpuUs: number }[]>();
    for (let round = 0; round < ROUNDS; round++)
      for (const way of WAYS) results.set(way.name, [...(results.get(way.name) ?? []), await measure(way, rows)]);
    for (const [name, list] of results) {
      const roundTrip = median(list.map(({ roundTripUs }) => roundTripUs));
      const cpu = median(list.map(({ cpuUs }) => cpuUs));
      console.log(`| ${rowKind} | ${count} | ${name} | ${roundTrip.toFixed(0)} | ${(cpu / count).toFixed(2)} |`);
    }
  }
}
