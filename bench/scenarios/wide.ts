/** The scenario `wide`: the scenario `queue` with a model that takes more time for a row. */
import { mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import type { Scenario } from '../bench.ts';
import { openInputs } from '../inputs.ts';
import { atLeast, round } from '../results.ts';
import { writeWideModel } from '../wide-model.ts';
import { compareQueues } from './queue.ts';

export const wide: Scenario = {
  name: 'wide',
  about: 'as queue, with a larger model behind the same handler',
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    const us = await writeWideModel(modelsDir);
    const { figures, ratios } = await compareQueues({ ...bench, inputs: await openInputs(modelsDir) }, modelsDir);
    for (const figure of Object.values(figures)) {
      Object.assign(figure, { row_alone_us: round(us.alone), row_among_64_us: round(us.among64) });
    }
    return {
      name: 'wide',
      rivals: figures,
      ratios,
      goals: [
        atLeast('millrace/direct', ratios['millrace/direct'] ?? Number.NaN, 2),
        atLeast('millrace/job-per-request', ratios['millrace/job-per-request'] ?? Number.NaN, 3.5),
      ],
    };
  },
};
