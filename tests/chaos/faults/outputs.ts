/** Large outputs of one model beside small outputs of another. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { repeater } from '../../support/onnx-models.ts';
import { rawId } from '../../support/raw-id.ts';
import { startReceiver } from '../../support/receiver.ts';
import type { Context, Fault } from '../fault.ts';
import { nextNumber, quick, writeModels } from '../models.ts';
import type { Stage } from '../stage.ts';

/** Each number is written with 11 characters, so 1.92 million numbers are 21 MB. */
const FRACTION = 0.12345679;
const HUGE = 1_920_000;
const LARGE = 300_000;
const CLIENTS = 4;

/** The models of every stage, and `wide`: one number as input, `width` numbers as output. */
async function withWide(width: number) {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-wide-'));
  await writeModels(dir);
  await mkdir(path.join(dir, 'wide', '1'), { recursive: true });
  await writeFile(path.join(dir, 'wide', '1', 'model.onnx'), repeater(width));
  await writeFile(path.join(dir, 'wide', 'model.json'), JSON.stringify({ max_batch: 1, row_independent: true }));
  return {
    env: { MODELS_DIR: dir, WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' },
    models: ['quick', 'slow', 'lookup', 'wide'],
  };
}

const removeModels = (stage: Stage): void =>
  stage.atEnd(() => rm(stage.env.MODELS_DIR as string, { recursive: true, force: true }));

interface WideLoad {
  /** Status of each response. */
  statuses: number[];
  /** Ids of the predictions that returned their output. */
  ids: string[];
  /** Responses whose output had a wrong length. */
  short: number;
  stop(): Promise<void>;
}

/**
 * Requests outputs of `width` numbers without a pause. The responses are measured but not parsed, because this process
 * serves other clients.
 */
function startWide({ apis }: Stage, width: number, clients: number): WideLoad {
  let stopped = false;
  const load: WideLoad = {
    statuses: [],
    ids: [],
    short: 0,
    async stop() {
      stopped = true;
      await Promise.all(all);
    },
  };
  const all = Array.from({ length: clients }, async () => {
    while (!stopped) {
      const response = await fetch(`${apis[0]?.url}/v1/models/wide/predictions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'wait=30' },
        body: JSON.stringify({ input: { x: [[nextNumber() + FRACTION]] } }),
      });
      const body = Buffer.from(await response.arrayBuffer());
      load.statuses.push(response.status);
      if (response.status !== 200) {
        await delay(100);
        continue;
      }
      load.ids.push(rawId(body.toString('latin1', 7, 44)));
      if (body.length < width * 9) load.short += 1;
    }
  });
  return load;
}

/** Sorted times of `clients` callers that request the small model for `seconds`. */
async function small({ client }: Stage, seconds: number, body?: Record<string, unknown>): Promise<number[]> {
  const from = client.replies.length;
  const until = performance.now() + seconds * 1_000;
  const callers = Array.from({ length: CLIENTS }, async () => {
    while (performance.now() < until) {
      await client.submit(quick(), body === undefined ? {} : { body });
      await delay(10);
    }
  });
  await Promise.all(callers);
  return client.replies
    .slice(from)
    .map(({ tookMs }) => tookMs)
    .sort((a, b) => a - b);
}

const p99 = (times: readonly number[]): number =>
  times[Math.min(times.length - 1, Math.floor(times.length * 0.99))] ?? 0;

function judge({ stage, note, expect, goal }: Context, wide: WideLoad, alone: number[], beside: number[]): void {
  const factor = p99(beside) / p99(alone);
  note(
    `${wide.ids.length} large outputs; the small model had ${alone.length} results alone, p99 ${Math.round(p99(alone))} ms, and ${beside.length} beside the large outputs, p99 ${Math.round(p99(beside))} ms`,
  );
  expect(
    stage.client.replies.every(({ status }) => status === 200),
    `responses of the small model: ${JSON.stringify(stage.client.tally())}`,
  );
  expect(wide.ids.length > 0 && wide.short === 0, `${wide.short} of ${wide.ids.length} large outputs were cut`);
  expect(
    wide.statuses.every((status) => status === 200),
    `responses of the large model: ${JSON.stringify(wide.statuses.filter((status) => status !== 200))}`,
  );
  goal(factor <= 5, `p99 beside large outputs is ${factor.toFixed(1)} times the p99 alone`);
}

/** Waits until the ledger has these ends with their outputs. Resolves to the number of recorded ends. */
async function recorded(stage: Stage, ids: readonly string[], least: number): Promise<number> {
  const deadline = performance.now() + 90_000;
  for (;;) {
    const [row] = await stage.sql<{ n: number }>(
      `SELECT count(*)::int AS n FROM predictions
         WHERE id = ANY ($1::uuid[]) AND status = 'succeeded' AND octet_length(result::text) >= $2`,
      [ids, least],
    );
    const n = row?.n ?? 0;
    if (n === ids.length || performance.now() > deadline) return n;
    await delay(200);
  }
}

export const outputFaults: Fault[] = [
  {
    name: 'large-outputs',
    how: `outputs of 21 MB of one model for ${CLIENTS} clients, beside small outputs of another model`,
    stage: () => withWide(HUGE),
    async run(context) {
      const { stage, short, expect } = context;
      removeModels(stage);
      const seconds = short ? 8 : 30;
      const alone = await small(stage, seconds);
      const wide = startWide(stage, HUGE, CLIENTS);
      const beside = await small(stage, seconds);
      await wide.stop();
      judge(context, wide, alone, beside);
      const n = await recorded(stage, wide.ids, HUGE * 9);
      expect(n === wide.ids.length, `${wide.ids.length - n} of ${wide.ids.length} large outputs are not in the ledger`);
      return undefined;
    },
  },
  {
    name: 'large-beside-small',
    how: `outputs of ${LARGE.toLocaleString('en')} numbers of one model for ${CLIENTS} clients, beside small outputs of another model with webhooks`,
    stage: () => withWide(LARGE),
    async run(context) {
      const { stage, short, note, expect } = context;
      removeModels(stage);
      const receiver = await startReceiver();
      try {
        const seconds = short ? 8 : 30;
        const webhook = { webhook: { url: `${receiver.url}/200/small` } };
        const alone = await small(stage, seconds, webhook);
        const wide = startWide(stage, LARGE, CLIENTS);
        const beside = await small(stage, seconds, webhook);
        await wide.stop();
        judge(context, wide, alone, beside);
        const n = await recorded(stage, wide.ids, LARGE * 9);
        expect(
          n === wide.ids.length,
          `${wide.ids.length - n} of ${wide.ids.length} large outputs are not in the ledger`,
        );
        const ids = stage.client.entries.flatMap(({ id }) => id ?? []);
        const kept = await recorded(stage, ids, 1);
        expect(kept === ids.length, `${ids.length - kept} of ${ids.length} small outputs are not in the ledger`);
        const missing = await undelivered(receiver, ids);
        note(`${ids.length - missing} of ${ids.length} webhooks of the small model were delivered`);
        expect(missing === 0, `${missing} webhooks of the small model were not delivered`);
      } finally {
        await receiver.close();
      }
      return undefined;
    },
  },
];

/** The number of these predictions without a webhook, after a minute at most. */
async function undelivered(
  receiver: Awaited<ReturnType<typeof startReceiver>>,
  ids: readonly string[],
): Promise<number> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const delivered = new Set(
      receiver.received.map(({ body }) => rawId((JSON.parse(body) as { data: { id: string } }).data.id)),
    );
    const missing = ids.filter((id) => !delivered.has(id)).length;
    if (missing === 0 || performance.now() > deadline) return missing;
    await delay(200);
  }
}
