/** The scenario `tensor`: raw tensors of 166 numbers in each format of a request. The other scenarios of raw tensors use its parts. */
import { mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import type { Bench, Scenario } from '../bench.ts';
import { atLeast, atMost, quotients, type RivalFigures, round } from '../results.ts';
import { type NamedLoad, runLoads } from '../rounds.ts';
import { checkOne } from '../sample.ts';
import type { Rival } from '../stage.ts';
import type { Format } from '../tensors/formats.ts';
import { mean, WIDTH, writeMlps, writeModel } from '../tensors/models.ts';
import { randomRows, type TensorRequestsParams, tensorRequests } from '../tensors/requests.ts';

export const waits = { prefer: 'wait=30' } as const;

/** Starts Millrace and `direct` with models of raw tensors, and `before` where the command line names a checkout. */
export function startTensorRivals(
  bench: Bench,
  modelsDir: string,
  models: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Rival[]> {
  const names = bench.rivals(['direct', 'before', 'millrace']);
  const options = { modelsDir, env: { TENSOR_MODELS: models.join(','), ...env } };
  return Promise.all(names.map((name) => bench.stage.start(name, options)));
}

interface TensorLoad {
  /** Follows the rival's name in the label. */
  name: string;
  format: Format;
  connections: number;
  sample: NamedLoad['sample'];
  params: TensorRequestsParams;
}

/** Measures each load on each rival. The megabytes a second count the floats, and not their text. */
export async function compareTensors(
  bench: Bench,
  rivals: readonly Rival[],
  loads: readonly TensorLoad[],
): Promise<Record<string, RivalFigures>> {
  const named = loads.flatMap(({ name, format, params, connections, sample }) => {
    const requests = tensorRequests(format, params);
    return rivals.map((rival) => ({ label: `${rival.name} ${name}`, rival, requests, connections, sample }));
  });
  for (const { rival, requests } of named) await checkOne({ url: rival.url, requests, echo: false }, 0);
  const figures = await runLoads(bench, named);
  for (const { name, params } of loads) {
    const bytes = params.dims.reduce((product, dim) => product * dim, 4);
    for (const rival of rivals) {
      const figure = figures[`${rival.name} ${name}`];
      if (figure) figure.mb_per_s = round(((figure.rps ?? Number.NaN) * bytes) / 1e6);
    }
  }
  return figures;
}

/** Millrace ÷ direct, and Millrace ÷ before, for each load. */
export function tensorRatios(figures: Record<string, RivalFigures>, names: readonly string[]): Record<string, number> {
  const pairs = names.flatMap((name) =>
    ['direct', 'before'].map((rival) => [`millrace ${name}`, `${rival} ${name}`] as const),
  );
  return quotients(figures, 'rps', pairs);
}

const of = (figures: Record<string, RivalFigures>, label: string, figure: string): number =>
  figures[label]?.[figure] ?? Number.NaN;

export const tensor: Scenario = {
  name: 'tensor',
  about: '166 float32 without a handler: 256 clients, models of 20 and 160 µs a row, and one client alone',
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    await writeMlps(modelsDir);
    const rivals = await startTensorRivals(bench, modelsDir, ['mlp-20', 'mlp-160']);
    const same = { modelsDir, dims: [WIDTH], rows: randomRows(1_024, WIDTH), headers: waits, fresh: true };
    const load = (model: string, format: Format): TensorLoad => {
      return { name: `${format} ${model}`, format, connections: 256, sample: 'beside', params: { ...same, model } };
    };
    const loads: TensorLoad[] = [
      ...(['json', 'base64', 'v2-json', 'v2-binary'] as const).map((format) => load('mlp-20', format)),
      load('mlp-160', 'json'),
      { ...load('mlp-20', 'json'), name: 'json alone', connections: 1, sample: 'after' },
    ];
    const figures = await compareTensors(bench, rivals, loads);
    return {
      name: 'tensor',
      rivals: figures,
      ratios: tensorRatios(
        figures,
        loads.map(({ name }) => name),
      ),
      goals: [
        atMost('processor time, 20 µs, JSON, µs', of(figures, 'millrace json mlp-20', 'cpu_us'), 110),
        atMost('processor time, 160 µs, JSON, µs', of(figures, 'millrace json mlp-160', 'cpu_us'), 130),
        atMost('one client alone, p50, ms', of(figures, 'millrace json alone', 'p50_ms'), 1.3),
        atMost('one client alone, processor time, µs', of(figures, 'millrace json alone', 'cpu_us'), 800),
      ],
    };
  },
};

const IMAGE = [3, 224, 224];
export const image: Scenario = {
  name: 'image',
  about: '602 KB a request (float32 of 3 × 224 × 224): 16 clients, and one client alone',
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    await writeModel(modelsDir, 'image', mean(IMAGE));
    const rivals = await startTensorRivals(bench, modelsDir, ['image']);
    const rows = randomRows(
      40,
      IMAGE.reduce((product, dim) => product * dim),
    );
    const params = { modelsDir, model: 'image', dims: IMAGE, rows, headers: waits, fresh: true };
    const loads: TensorLoad[] = (['json', 'base64', 'v2-json', 'v2-binary'] as const).map((format) => {
      return { name: format, format, connections: 16, sample: 'after', params };
    });
    loads.push({ name: 'v2-binary alone', format: 'v2-binary', connections: 1, sample: 'after', params });
    const figures = await compareTensors(bench, rivals, loads);
    const ratios = tensorRatios(
      figures,
      loads.map(({ name }) => name),
    );
    return {
      name: 'image',
      rivals: figures,
      ratios,
      goals: [
        atLeast('binary, millrace/direct', ratios['millrace v2-binary/direct v2-binary'] ?? Number.NaN, 0.5),
        atMost('binary alone, p50, ms', of(figures, 'millrace v2-binary alone', 'p50_ms'), 2.5),
        atMost('JSON array, processor time of the API, µs', of(figures, 'millrace json', 'api_cpu_us'), 8_000),
      ],
    };
  },
};

export const distant: Scenario = {
  name: 'distant',
  about:
    '602 KB a request without shared memory, as where API and worker are on two machines: 16 clients, and one client alone',
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    await writeModel(modelsDir, 'image', mean(IMAGE));
    const rivals = await startTensorRivals(bench, modelsDir, ['image'], { SLOT_MEMORY: '0' });
    const rows = randomRows(
      40,
      IMAGE.reduce((product, dim) => product * dim),
    );
    const format = 'v2-binary' as const;
    const params = { modelsDir, model: 'image', dims: IMAGE, rows, headers: waits, fresh: true };
    const load = { format, sample: 'after' as const, params };
    const loads: TensorLoad[] = [
      { ...load, name: format, connections: 16 },
      { ...load, name: `${format} alone`, connections: 1 },
    ];
    const figures = await compareTensors(bench, rivals, loads);
    const ratios = tensorRatios(
      figures,
      loads.map(({ name }) => name),
    );
    const goal = ratios['millrace v2-binary/direct v2-binary'] ?? Number.NaN;
    return {
      name: 'distant',
      rivals: figures,
      ratios,
      goals: [atLeast('binary between machines, millrace/direct', goal, 0.35)],
    };
  },
};

const LARGE = [1_024, 1_024];

/** The defaults accept 4 MB in binary only: limits of JSON are lower, because parsing costs more than a transfer. */
const LARGE_LIMITS = {
  BODY_LIMIT: '16777216',
  JSON_LIMIT: '16777216',
  MAX_STRING_LENGTH: '8000000',
  BODY_MEMORY: '512',
};

export const large: Scenario = {
  name: 'large',
  about: '4 MB a request (float32 of 1,024 × 1,024): 8 clients',
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    await writeModel(modelsDir, 'large', mean(LARGE));
    const rivals = await startTensorRivals(bench, modelsDir, ['large'], LARGE_LIMITS);
    const rows = randomRows(
      12,
      LARGE.reduce((product, dim) => product * dim),
    );
    const params = { modelsDir, model: 'large', dims: LARGE, rows, headers: waits, fresh: true };
    const loads: TensorLoad[] = (['json', 'base64', 'v2-binary'] as const).map((format) => {
      return { name: format, format, connections: 8, sample: 'after', params };
    });
    const figures = await compareTensors(bench, rivals, loads);
    return {
      name: 'large',
      rivals: figures,
      ratios: tensorRatios(
        figures,
        loads.map(({ name }) => name),
      ),
      goals: [atLeast('binary, MB/s', of(figures, 'millrace v2-binary', 'mb_per_s'), 300)],
    };
  },
};
