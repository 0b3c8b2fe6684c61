/** Promises with large inputs, of which only the ledger has the inputs, while every process and store that handles the inputs is killed. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { peak } from '../../support/onnx-models.ts';
import { rawId } from '../../support/raw-id.ts';
import type { Context, Fault } from '../fault.ts';
import { nextNumber, writeModels } from '../models.ts';
import type { Stage } from '../stage.ts';

const SIDE = 512;
const BYTES = 4 * SIDE * SIDE;
const CLIENTS = 4;
const PAUSE_MS = 300;
/** The time in which all promises must end after the last kill. */
const END_MS = 120_000;

/** The models of every stage, and `peak`: the largest number of a matrix of 1 MiB. */
async function withPeak() {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-peak-'));
  await writeModels(dir);
  await mkdir(path.join(dir, 'peak', '1'), { recursive: true });
  await writeFile(path.join(dir, 'peak', '1', 'model.onnx'), peak(SIDE, SIDE));
  await writeFile(path.join(dir, 'peak', 'model.json'), JSON.stringify({ max_batch: 8, row_independent: true }));
  return { env: { MODELS_DIR: dir, MAX_ATTEMPTS: '20' }, models: ['quick', 'slow', 'lookup', 'peak'] };
}

interface Tally {
  /** The expected output of each promise, by the id in the ledger. */
  promised: Map<string, number>;
  /** Promises whose live state is shorter than the input. */
  named: number;
  /** Requests that got 503 or no response. Nobody promised these predictions. */
  refused: number;
  others: string[];
}

/** Sends promises until `untilMs`. */
async function promise(stage: Stage, untilMs: number, tally: Tally): Promise<void> {
  while (performance.now() < untilMs) {
    const number = nextNumber();
    const base64 = Buffer.from(new Float32Array(SIDE * SIDE).fill(number).buffer).toString('base64');
    const response = await fetch(`${stage.apis[0]?.url}/v1/models/peak/predictions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: { x: { shape: [1, SIDE, SIDE], base64 } } }),
    }).catch(() => undefined);
    const text = (await response?.text().catch(() => '')) ?? '';
    if (response?.status === 202) {
      const id = rawId(JSON.parse(text).id);
      // The model computes with float32.
      tally.promised.set(id, Math.fround(number));
      const bytes = await stage.withRedis((redis) => redis.strlen(stage.keys.live(id))).catch(() => 0);
      if (bytes > 0 && bytes < BYTES / 100) tally.named += 1;
    } else if (response === undefined || response.status === 503) tally.refused += 1;
    else tally.others.push(`${response.status}: ${text.slice(0, 200)}`);
    await delay(PAUSE_MS);
  }
}

/** Kills Postgres, a worker and the queue Redis in turn until `untilMs`. Resolves to the number of kills. */
async function killInTurn({ stage, servers, random }: Context, untilMs: number): Promise<number> {
  const kills = [
    async () => {
      await servers.postgres.kill();
      await delay(2_000);
      await servers.postgres.start();
    },
    async () => {
      await stage.workers[0]?.kill();
      await stage.startWorker();
    },
    async () => {
      await servers.redis.kill();
      await delay(1_000);
      await servers.redis.start();
    },
  ];
  let count = 0;
  while (performance.now() + 5_000 < untilMs) {
    await delay(2_000 + 3_000 * random());
    await kills[count % kills.length]?.();
    count += 1;
  }
  return count;
}

/** Waits until all promises have ended. Resolves to a line for each promise without its right output. */
async function wrongEnds(stage: Stage, promised: ReadonlyMap<string, number>): Promise<string[]> {
  const deadline = performance.now() + END_MS;
  for (;;) {
    const rows = await stage.sql<{ id: string; status: string; result: string }>(
      'SELECT id, status, result FROM predictions WHERE id = ANY ($1::uuid[])',
      [[...promised.keys()]],
    );
    const found = new Map(rows.map((row) => [row.id, row]));
    const wrong: string[] = [];
    for (const [id, number] of promised) {
      const { status, result } = found.get(id) ?? { status: 'lost', result: '' };
      const output: unknown = status === 'succeeded' ? JSON.parse(result).y.data : undefined;
      if (JSON.stringify(output) !== JSON.stringify([number])) wrong.push(`${id} ${status} ${result.slice(0, 100)}`);
    }
    if (wrong.length === 0 || performance.now() > deadline) return wrong;
    await delay(500);
  }
}

export const promiseFaults: Fault[] = [
  {
    name: 'large-promises',
    how: `promises with inputs of 1 MiB for ${CLIENTS} clients; Postgres, the worker and the queue Redis are killed in turn for four minutes`,
    stage: withPeak,
    async run(context) {
      const { stage, short, note, expect } = context;
      stage.atEnd(() => rm(stage.env.MODELS_DIR as string, { recursive: true, force: true }));
      const tally: Tally = { promised: new Map(), named: 0, refused: 0, others: [] };
      const untilMs = performance.now() + (short ? 20_000 : 240_000);
      const sending = Promise.all(Array.from({ length: CLIENTS }, () => promise(stage, untilMs, tally)));
      const [kills] = await Promise.all([killInTurn(context, untilMs), sending]);
      const healedAt = Date.now();
      const wrong = await wrongEnds(stage, tally.promised);
      const { promised, named, refused, others } = tally;
      note(
        `${promised.size} promises, ${named} seen with an input in the ledger alone, ${refused} refused; ${kills} kills; all ended after ${((Date.now() - healedAt) / 1_000).toFixed(1)} s`,
      );
      expect(promised.size > 0 && wrong.length === 0, `${wrong.length} promises: ${wrong.slice(0, 3).join('; ')}`);
      expect(named > 0, 'no live state named the ledger');
      expect(others.length === 0, `other responses: ${others.slice(0, 3).join('; ')}`);
      return healedAt;
    },
  },
];
