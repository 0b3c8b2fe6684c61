/** The boards of Grafana: each metric exists, and each panel has data in a real Prometheus that scrapes a real Millrace. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { hasPrometheus, type Prometheus, startPrometheus } from '../support/prometheus.ts';
import { startReceiver } from '../support/receiver.ts';
import { untilCached } from '../support/until-cached.ts';

const MODEL = 'drug-interaction-similarity';
const DIR = path.resolve(import.meta.dirname, '../../deploy/grafana');

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; legendFormat: string }[];
}
interface Board {
  uid: string;
  title: string;
  panels: Panel[];
  templating: { list: { name: string; query: string | { query: string } }[] };
}

const boards: Board[] = readdirSync(DIR)
  .filter((file) => file.endsWith('.json'))
  .map((file) => JSON.parse(readFileSync(path.join(DIR, file), 'utf8')));
const panels = boards.flatMap((board) =>
  board.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ name: `${board.uid}: ${title}: ${expr}`, expr })),
  ),
);

/** Panels without data in a system without a fault. */
const EMPTY_WHILE_WELL =
  /_errors_total|millrace_refused_total|callers_left|damaged_total|lock_renewals|engine_ends|endpoints_disabled|reconciler_total|unreadable/;

const millrace = useMillrace({
  models: [MODEL],
  env: { WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' },
});

const metricsOf = async (url: string) => (await fetch(`${url}/metrics`)).text();
const namesIn = (expr: string): string[] =>
  [...expr.matchAll(/\b((?:millrace|nodejs|process)_[a-z0-9_]+)/g)].map(([, name = '']) => name);

test('every metric of a board exists in the metrics of a live process', async () => {
  const texts = await Promise.all([millrace.url, ...millrace.workers.map(({ url }) => url)].map(metricsOf));
  const types = texts.join('\n').matchAll(/^# TYPE (\S+) (\S+)$/gm);
  const known = new Set<string>();
  for (const [, name = '', type] of types) {
    known.add(name);
    if (type === 'histogram') for (const part of ['bucket', 'sum', 'count']) known.add(`${name}_${part}`);
  }
  const variables = boards.flatMap(({ templating }) =>
    templating.list.map(({ query }) => (typeof query === 'string' ? query : query.query)),
  );
  const used = [...panels.map(({ expr }) => expr), ...variables].flatMap(namesIn);
  expect(new Set(used).size).toBeGreaterThan(35);
  expect([...new Set(used)].filter((name) => !known.has(name))).toEqual([]);
});

test.each(boards)('$title has panels that do not overlap, with ids and titles of their own', ({ panels: own }) => {
  const unique = (values: readonly unknown[]) => expect(new Set(values).size).toBe(values.length);
  unique(own.map(({ id }) => id));
  unique(own.filter(({ type }) => type !== 'row').map(({ title }) => title));
  for (const [at, { gridPos: a }] of own.entries()) {
    expect(a.x + a.w).toBeLessThanOrEqual(24);
    for (const { gridPos: b } of own.slice(at + 1))
      expect(a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h).toBe(false);
  }
});

test('docs/observability.md names only panels and metrics that exist', () => {
  const text = readFileSync(path.resolve(DIR, '../../docs/observability.md'), 'utf8');
  const trees = text.slice(text.indexOf('## Predictions are slow'), text.indexOf('## Names of other systems'));
  const titles = new Set(boards.flatMap((board) => board.panels.map(({ title }) => title)));
  const named = [...trees.replaceAll(/`[^`]*`/g, '').matchAll(/"([^"]+)"/g)].map(([, title = '']) =>
    title.replaceAll(/\s+/g, ' '),
  );
  expect(named.length).toBeGreaterThan(25);
  expect(named.filter((title) => !titles.has(title))).toEqual([]);
  const used = new Set(panels.flatMap(({ expr }) => namesIn(expr)));
  expect(namesIn(trees).filter((name) => !used.has(name) && name !== 'process_start_time_seconds')).toEqual([]);
});

describe.skipIf(!hasPrometheus())('in a Prometheus', () => {
  let prometheus: Prometheus;

  beforeAll(async () => {
    const workers = millrace.workers.map(({ url }) => url);
    prometheus = await startPrometheus({ 'millrace-api': [millrace.url], 'millrace-worker': workers });
  }, 90_000);
  afterAll(() => prometheus?.close());

  const query = (expr: string): Promise<unknown[]> =>
    prometheus.query(expr.replaceAll('$__rate_interval', '20s').replaceAll('$model', '.*'));

  test('every panel has data under load', { timeout: 180_000 }, async () => {
    const receiver = await startReceiver();
    let n = 0;
    const load = async () => {
      n += 1;
      const body = { input: { similarities: [[0.1, 0.2, 0.3, 0.4, n / 10_000]] } };
      await millrace.predict(MODEL, body, { prefer: 'wait=20' });
      await untilCached(millrace, MODEL, body);
      const webhook = { url: `${receiver.url}/200/board` };
      await millrace.predict(MODEL, { ...body, webhook }, { prefer: 'wait=20' });
    };
    const wanted = panels.filter(({ expr }) => !EMPTY_WHILE_WELL.test(expr));
    await vi.waitFor(
      async () => {
        await load();
        const empty: string[] = [];
        for (const { name, expr } of wanted) if ((await query(expr)).length === 0) empty.push(name);
        expect(empty).toEqual([]);
      },
      { timeout: 90_000, interval: 500 },
    );
    // The other panels are empty, and are understood.
    for (const { expr } of panels) await query(expr);
    await receiver.close();
  });
});
