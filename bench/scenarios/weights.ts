/** The scenario `weights`: for which duration of a row Millrace has a higher rate than a handler that runs the model itself. */
import { mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import type { Scenario } from '../bench.ts';
import { round } from '../results.ts';
import { mlpOf, WIDTH, writeModel } from '../tensors/models.ts';
import { randomRows } from '../tensors/requests.ts';
import { compareTensors, startTensorRivals, tensorRatios, waits } from './tensor.ts';

const WEIGHTS_US = [20, 50, 100, 200, 500];

export const weights: Scenario = {
  name: 'weights',
  about: '256 clients with 166 float32 as JSON, for models of 20, 50, 100, 200 and 500 µs a row',
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    const models: { name: string; alone: number; among64: number }[] = [];
    for (const us of WEIGHTS_US) {
      const { bytes, ...cost } = await mlpOf(us);
      await writeModel(modelsDir, `mlp-${us}`, bytes);
      models.push({ name: `mlp-${us}`, ...cost });
    }
    const names = models.map(({ name }) => name);
    const rivals = await startTensorRivals(bench, modelsDir, names);
    const rows = randomRows(1_024, WIDTH);
    const loads = names.map((name) => {
      const params = { modelsDir, model: name, dims: [WIDTH], rows, headers: waits, fresh: true };
      return { name, format: 'json', connections: 256, sample: 'beside', params } as const;
    });
    const figures = await compareTensors(bench, rivals, loads);
    for (const { name, alone, among64 } of models) {
      for (const rival of rivals) {
        Object.assign(figures[`${rival.name} ${name}`] ?? {}, {
          row_alone_us: round(alone),
          row_among_64_us: round(among64),
        });
      }
    }
    return { name: 'weights', rivals: figures, ratios: tensorRatios(figures, names), goals: [] };
  },
};
