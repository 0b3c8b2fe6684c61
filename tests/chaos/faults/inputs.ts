/** Large tensors in both directions for minutes: the memory of every process stays bounded, and no byte is wrong. */

import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { identity } from '../../support/onnx-models.ts';
import type { Context, Fault } from '../fault.ts';
import { nextNumber, writeModels } from '../models.ts';
import { slope } from '../slope.ts';
import type { Stage } from '../stage.ts';

const ELEMENTS = 1_048_576;
const BYTES = 4 * ELEMENTS;
const CLIENTS = 4;
const SAMPLE_MS = 1_000;
/** Memory that a process takes while warming up is no growth. */
const WARM_UP_SHARE = 0.3;
/** The bounds of the resident memory. The worker's bound includes its engines. */
const API_MIB = 600;
const WORKER_MIB = 1_200;
/** The largest growth of both together after the warm-up, over the whole run. */
const GROWTH_MIB = 150;

/** The models of every stage, and `echo`, which returns its input. */
async function withEcho() {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-echo-'));
  await writeModels(dir);
  await mkdir(path.join(dir, 'echo', '1'), { recursive: true });
  await writeFile(path.join(dir, 'echo', '1', 'model.onnx'), identity('float32', ['n', ELEMENTS]));
  await writeFile(path.join(dir, 'echo', 'model.json'), JSON.stringify({ max_batch: 4, row_independent: true }));
  return { env: { MODELS_DIR: dir }, models: ['quick', 'slow', 'lookup', 'echo'] };
}

interface Tally {
  right: number;
  /** 429: the client must send the request again later. */
  refused: number;
  /** The text of each other response, and of each request without a response. */
  others: string[];
}

/** Sends tensors without a pause until `untilMs`, and compares each output with its input. */
async function send(url: string, untilMs: number, tally: Tally): Promise<void> {
  const tensor = new Float32Array(ELEMENTS);
  const head = JSON.stringify({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, ELEMENTS], parameters: { binary_data_size: BYTES } }],
    parameters: { binary_data_output: true },
  });
  while (performance.now() < untilMs) {
    // No two tensors are equal, so that no output comes from the cache.
    tensor.fill(nextNumber());
    const response = await fetch(`${url}/v2/models/echo/infer`, {
      method: 'POST',
      headers: {
        'content-type': 'application/octet-stream',
        'inference-header-content-length': String(Buffer.byteLength(head)),
      },
      body: Buffer.concat([Buffer.from(head), Buffer.from(tensor.buffer)]),
    }).catch((error: Error) => error);
    if (response instanceof Error) {
      tally.others.push(`${response.message}: ${response.cause}`);
      await delay(100);
      continue;
    }
    const body = Buffer.from(await response.arrayBuffer());
    if (response.status === 429) {
      tally.refused += 1;
      await delay(100);
    } else if (response.status === 200 && body.subarray(body.length - BYTES).equals(Buffer.from(tensor.buffer))) {
      tally.right += 1;
    } else {
      tally.others.push(`${response.status} with ${body.length} bytes: ${body.toString('latin1', 0, 200)}`);
    }
  }
}

/** The resident memory of the API, and of the worker with its engines, in MiB. */
function memoryOf({ apis, workers }: Stage): { api: number; worker: number } {
  const [api, worker] = [apis[0], workers[0]];
  if (!api || !worker) throw new Error('The stage has no API or no worker.');
  return {
    api: residentMiB(api.pid),
    worker: [worker.pid, ...worker.children()].reduce((sum, pid) => sum + residentMiB(pid), 0),
  };
}

function residentMiB(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024;
  } catch {
    // The engine has ended between both reads.
    return 0;
  }
}

/** As `withEcho`, with inputs that go through the cache Redis, as where API and workers are on two machines. */
async function withDistantEcho() {
  const { env, models } = await withEcho();
  return { env: { ...env, SLOT_MEMORY: '0' }, models };
}

/** The API uses the cache Redis again 30 seconds after the loss of a row. */
const BETWEEN_KILLS_MS = 35_000;

/** Kills the cache Redis again and again until `untilMs`. Resolves to the number of kills, and of kills just after a row was there. */
async function killCache(
  { servers: { cache }, random }: Context,
  untilMs: number,
): Promise<{ kills: number; lost: number }> {
  const counts = { kills: 0, lost: 0 };
  while (performance.now() + 5_000 < untilMs) {
    await delay(3_000 + 2_000 * random());
    const redis = new Redis(cache.directUrl);
    redis.on('error', () => {});
    const rows = async () => (await redis.keys('*:slot:*')).length;
    // A row is in the cache Redis for a few milliseconds.
    let found = 0;
    for (let tries = 0; found === 0 && tries < 1_000; tries += 1) found = await rows();
    redis.disconnect();
    await cache.kill();
    counts.kills += 1;
    counts.lost += Math.min(1, found);
    await delay(500);
    await cache.start();
    await delay(Math.min(BETWEEN_KILLS_MS, Math.max(0, untilMs - performance.now() - 5_000)));
  }
  return counts;
}

export const inputFaults: Fault[] = [
  {
    name: 'distant-tensors',
    how: `inputs and outputs of 4 MB for ${CLIENTS} clients, inputs through the cache Redis, which is killed every 35 s for four minutes`,
    stage: withDistantEcho,
    async run(context) {
      const { stage, short, note, expect } = context;
      stage.atEnd(() => rm(stage.env.MODELS_DIR as string, { recursive: true, force: true }));
      const tally: Tally = { right: 0, refused: 0, others: [] };
      const untilMs = performance.now() + (short ? 20_000 : 240_000);
      const url = stage.apis[0]?.url ?? '';
      const sending = Promise.all(Array.from({ length: CLIENTS }, () => send(url, untilMs, tally)));
      const [{ kills, lost }] = await Promise.all([killCache(context, untilMs), sending]);
      note(
        `${tally.right} outputs of 4 MB and ${tally.refused} refusals; ${kills} kills, ${lost} of them with a row in the cache Redis`,
      );
      expect(tally.right > 0 && tally.others.length === 0, `other responses: ${tally.others.slice(0, 3).join('; ')}`);
      expect(lost > 0, 'no row was in the cache Redis at a kill');
      return undefined;
    },
  },
  {
    name: 'large-tensors',
    how: `inputs and outputs of 4 MB for ${CLIENTS} clients over ten minutes`,
    stage: withEcho,
    async run({ stage, short, note, expect, goal }) {
      stage.atEnd(() => rm(stage.env.MODELS_DIR as string, { recursive: true, force: true }));
      const seconds = short ? 20 : 600;
      const tally: Tally = { right: 0, refused: 0, others: [] };
      const startedAt = performance.now();
      const untilMs = startedAt + seconds * 1_000;
      const url = stage.apis[0]?.url ?? '';
      const clients = Array.from({ length: CLIENTS }, () => send(url, untilMs, tally));
      const points: { x: number; api: number; worker: number }[] = [];
      while (performance.now() < untilMs) {
        points.push({ x: (performance.now() - startedAt) / 1_000, ...memoryOf(stage) });
        await delay(SAMPLE_MS);
      }
      await Promise.all(clients);
      const [api, worker] = [Math.max(...points.map((one) => one.api)), Math.max(...points.map((one) => one.worker))];
      const settled = points.filter(({ x }) => x >= seconds * WARM_UP_SHARE);
      const growth =
        slope(settled.map((one) => ({ x: one.x, y: one.api + one.worker }))) * seconds * (1 - WARM_UP_SHARE);
      note(
        `${tally.right} outputs of 4 MB and ${tally.refused} refusals; at most ${Math.round(api)} MiB in the API and ${Math.round(worker)} MiB in the worker with its engines, ${Math.round(growth)} MiB growth after the warm-up`,
      );
      expect(tally.right > 0 && tally.others.length === 0, `other responses: ${tally.others.slice(0, 3).join('; ')}`);
      expect(api <= API_MIB, `the API had ${Math.round(api)} MiB, at most ${API_MIB} are allowed`);
      expect(worker <= WORKER_MIB, `the worker had ${Math.round(worker)} MiB, at most ${WORKER_MIB} are allowed`);
      if (!short) expect(growth <= GROWTH_MIB, `API and worker grew by ${Math.round(growth)} MiB`);
      goal(growth <= GROWTH_MIB, `API and worker grew by ${Math.round(growth)} MiB`);
      return undefined;
    },
  },
];
