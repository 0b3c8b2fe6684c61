/**
 * Promotes and rolls back under load: no request fails, each response comes from the version that it names, and every
 * request after a promotion gets the new version. PROMOTIONS=100 starts the long form.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { floats, onnxModel } from '../support/onnx-builder.ts';

const PROMOTIONS = Number(process.env.PROMOTIONS ?? 6);
const PER_S = 200;
/** Requests between two promotions. */
const BETWEEN = 40;

/** y = x + c for x of float32[n]. */
const adds = (c: number): Buffer =>
  onnxModel({
    nodes: [{ op: 'Add', inputs: ['x', 'c'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n'] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n'] }],
    initializers: [{ name: 'c', dtype: 'float32', dims: [], data: floats(c) }],
  });
const ADDED: Readonly<Record<string, number>> = { '1': 0.25, '2': 0.5 };

let dir = '';
// Declared before useMillrace, so that the folder is removed after the workers have ended.
afterAll(() => rm(dir, { recursive: true, force: true }));
const millrace = useMillrace(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-promotion-'));
  for (const [version, added] of Object.entries(ADDED)) {
    await mkdir(path.join(dir, 'sum', version), { recursive: true });
    await writeFile(path.join(dir, 'sum', version, 'model.onnx'), adds(added));
  }
  return { modelsDir: dir, models: ['sum'] };
});

interface Outcome {
  /** The number of the request, in the order of sending. */
  request: number;
  version: string;
}

test(
  `${PROMOTIONS} promotions and roll-backs at ${PER_S} requests a second`,
  async () => {
    await expect.poll(async () => (await millrace.request('/v1/models/sum/versions/1')).body.status).toBe('ready');
    const wrong: string[] = [];
    const outcomes: Outcome[] = [];
    let sent = 0;
    let wake = () => {};
    const nextOutcome = () =>
      new Promise<void>((resolve) => {
        wake = resolve;
      });
    async function one(x: number): Promise<void> {
      const number = sent++;
      const response = await fetch(`${millrace.url}/v1/models/sum/predictions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'wait=30' },
        body: JSON.stringify({ input: { x: [x] } }),
      });
      const text = await response.text();
      const { version, output } = JSON.parse(text) as { version: string; output?: { y: { data: number[] } } };
      if (response.status !== 200 || output?.y.data[0] !== x + ADDED[version]!)
        wrong.push(`${response.status} ${text}`);
      outcomes.push({ request: number, version });
      wake();
    }

    const loading = new AbortController();
    const underWay = new Set<Promise<void>>();
    const load = (async () => {
      const startedAt = performance.now();
      for (let n = 0; !loading.signal.aborted; n++) {
        await delay(Math.max(0, startedAt + (n * 1_000) / PER_S - performance.now()));
        // A third of the requests repeats earlier inputs and comes from the cache.
        const request: Promise<void> = one(n % 3 === 0 ? n % 30 : n).catch(
          (error: Error) => void wrong.push(String(error)),
        );
        underWay.add(request);
        void request.finally(() => underWay.delete(request));
      }
      return { n: sent, seconds: (performance.now() - startedAt) / 1_000 };
    })();

    for (let promotion = 0; promotion < PROMOTIONS; promotion++) {
      const version = promotion % 2 === 0 ? '1' : '2';
      const put = { method: 'PUT', body: { version } };
      const { status } = await millrace.request('/v1/models/sum/aliases/production', put);
      expect(status).toBeLessThan(300);
      const from = sent;
      while (outcomes.length < from + BETWEEN) await nextOutcome();
      const late = outcomes.filter((outcome) => outcome.request >= from && outcome.version !== version);
      if (late.length > 0)
        wrong.push(`${late.length} requests after promotion ${promotion} came from the other version`);
    }
    loading.abort();
    const { n, seconds } = await load;
    await Promise.all(underWay);
    console.log(
      `${PROMOTIONS} promotions over ${n} requests, ${Math.round(n / seconds)} a second: ${wrong.length} wrong.`,
    );
    expect(wrong.slice(0, 10)).toEqual([]);
    expect(outcomes).toHaveLength(n);
    expect(new Set(outcomes.map(({ version }) => version))).toEqual(new Set(['1', '2']));
  },
  30_000 + PROMOTIONS * 2_000,
);
