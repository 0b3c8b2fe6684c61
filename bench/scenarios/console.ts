/** The scenario `console`: how long the pages of the console take with many models, predictions and deliveries. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench, Scenario } from '../bench.ts';
import { openPages, type Pages } from '../console/pages.ts';
import { keepTemplates, modelName, seed } from '../console/seed.ts';
import { atMost, type RivalFigures, round } from '../results.ts';
import { predictionsPath } from '../rivals/model.ts';
import type { Rival } from '../stage.ts';
import { quantile } from '../statistics.ts';

const TEMPLATE = 'drug-interaction';
const MODELS = 1_000;
const DELIVERIES = 100_000;
const PREDICTIONS = 1_000_000;
/** The ledger of the first measurement, with which the whole ledger is compared. */
const FEW = 10_000;
const LOADS = 5;
const REPEATS = 40;
/** Samples of the templates of all rows. */
const SAMPLES = 32;
const REGISTRY_MS = 60_000;

export const consoleScenario: Scenario = {
  name: 'console',
  about: `the pages of the console with ${MODELS} models, ${PREDICTIONS} predictions and ${DELIVERIES} deliveries`,
  requires: ['millrace'],
  run: async (bench) => {
    const rival = await bench.stage.start('millrace', { env: { LOG_LEVEL: 'error' } });
    const pages = await openPages();
    try {
      await sampleRows(bench, rival);
      const before = await measured(bench, { rival, pages, predictions: FEW, deliveries: FEW / 10 });
      const after = await measured(bench, { rival, pages, predictions: PREDICTIONS, deliveries: DELIVERIES });
      const worst = (figures: Measured, name: string) =>
        Math.max(...Object.values(figures).map((page) => page[name] ?? Number.NaN));
      const growth = Object.entries(after).map(
        ([name, page]) => (page.p50_ms ?? Number.NaN) / (before[name]?.p50_ms ?? Number.NaN),
      );
      return {
        name: 'console',
        rivals: after,
        ratios: { 'whole/few, slowest page': round(worst(after, 'p95_ms') / worst(before, 'p95_ms')) },
        goals: [
          atMost('p95 of the data of each page, ms', worst(after, 'p95_ms'), 300),
          atMost('p95 of the first paint of each page, ms', worst(after, 'paint_p95_ms'), 1_000),
          atMost('p50 of a page, whole ledger ÷ few predictions', Math.max(...growth), 2),
        ],
      };
    } finally {
      await pages.close();
    }
  },
};

type Measured = Record<string, RivalFigures>;

interface MeasureParams {
  rival: Rival;
  pages: Pages;
  predictions: number;
  deliveries: number;
}

async function measured(bench: Bench, { rival, pages, predictions, deliveries }: MeasureParams): Promise<Measured> {
  const { url, databaseUrl = '' } = rival;
  const say = (message: string) => bench.say(`${predictions} predictions: ${message}`);
  await seed({ databaseUrl, template: TEMPLATE, models: MODELS, predictions, deliveries, say });
  await untilListed(url);
  const figures: Measured = {};
  for (const [name, address] of Object.entries(await addressesOf(url))) {
    say(`page ${name}`);
    figures[name] = await measurePage(pages, url, address);
  }
  return figures;
}

/** Creates predictions whose rows are the templates: succeeded predictions, and predictions that wait. */
async function sampleRows({ inputs }: Bench, { url, databaseUrl = '', stopWorker, startWorker }: Rival): Promise<void> {
  const send = async (headers: Record<string, string>) => {
    for (const body of inputs.bodies.slice(0, SAMPLES)) {
      const request = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body };
      const response = await fetch(url + predictionsPath, request);
      if (response.status !== 200 && response.status !== 202)
        throw new Error(`A sample got ${response.status}: ${await response.text()}`);
      await response.arrayBuffer();
    }
  };
  await send({ prefer: 'wait=30' });
  await stopWorker();
  await send({ prefer: 'respond-async', 'cache-control': 'no-store' });
  await keepTemplates(databaseUrl, TEMPLATE);
  await startWorker();
}

async function untilListed(url: string): Promise<void> {
  // Announces a change of the registry, so that all processes read the new models.
  await fetch(`${url}/v1/models/${TEMPLATE}/cache`, { method: 'DELETE' });
  const deadline = performance.now() + REGISTRY_MS;
  for (;;) {
    const response = await fetch(`${url}/v1/models/${modelName(MODELS)}`);
    await response.arrayBuffer();
    if (response.ok) return;
    if (performance.now() > deadline) throw new Error(`${modelName(MODELS)} is not listed after ${REGISTRY_MS} ms.`);
    await delay(500);
  }
}

/** A page for each view whose data differ. */
async function addressesOf(url: string): Promise<Record<string, string>> {
  const first = async (path: string): Promise<{ id: string }> => {
    const { data } = (await (await fetch(url + path)).json()) as { data: { id: string }[] };
    if (data[0] === undefined) throw new Error(`${path} has no item.`);
    return data[0];
  };
  const model = modelName(7);
  const prediction = await first('/v1/predictions?status=failed&limit=1');
  const delivery = await first('/v1/webhook-deliveries?status=failed&limit=1');
  const endpoint = await first('/v1/webhook-endpoints?limit=1');
  return {
    overview: '/console',
    'overview, 24 h': '/console?range=24h',
    'overview, 30 d': '/console?range=30d',
    'overview of a model': `/console?range=24h&model=${model}`,
    models: '/console/models',
    'models, search': '/console/models?q=99',
    model: `/console/models/${model}`,
    'model, versions': `/console/models/${model}?tab=versions`,
    predictions: '/console/predictions',
    'predictions, failed': '/console/predictions?status=failed,expired',
    'predictions, succeeded': '/console/predictions?status=succeeded',
    'predictions of a model': `/console/predictions?model=${model}`,
    'predictions, metadata': '/console/predictions?metadata.order=500000',
    'predictions, error': '/console/predictions?error=engine_crashed',
    'predictions, id': `/console/predictions?id=${prediction.id.slice(0, 14)}`,
    'predictions, 7 d': '/console/predictions?range=7d',
    prediction: `/console/predictions/${prediction.id}`,
    deliveries: '/console/webhooks',
    'deliveries, failed': '/console/webhooks?status=failed',
    'deliveries of an endpoint': `/console/webhooks?endpoint=${endpoint.id}`,
    delivery: `/console/webhooks?delivery=${delivery.id}`,
    endpoints: '/console/webhooks?tab=endpoints',
    workers: '/console/workers',
  };
}

async function measurePage(pages: Pages, url: string, address: string): Promise<RivalFigures> {
  const paints: number[] = [];
  let paths: string[] = [];
  for (let n = 0; n < LOADS; n++) {
    const loaded = await pages.load(url + address);
    paints.push(loaded.firstPaintMs);
    paths = [...new Set(loaded.paths)];
  }
  const totals: number[] = [];
  const byPath = new Map<string, number[]>(paths.map((path) => [path, []]));
  for (let n = 0; n < REPEATS; n++) {
    const start = performance.now();
    await Promise.all(
      paths.map(async (path) => {
        await (await fetch(url + path)).arrayBuffer();
        byPath.get(path)?.push(performance.now() - start);
      }),
    );
    totals.push(performance.now() - start);
  }
  if (process.env.BENCH_ROUTES)
    for (const [path, ms] of byPath) console.log(`\n  ${round(quantile(ms, 0.95))} ms ${path}`);
  return {
    requests: paths.length,
    p50_ms: quantile(totals, 0.5),
    p95_ms: quantile(totals, 0.95),
    paint_p95_ms: quantile(paints, 0.95),
  };
}
