import { mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import type { Scenario } from '../bench.ts';
import { openQuestions } from '../questions.ts';
import { atLeast, quotients, round } from '../results.ts';
import { runRounds } from '../rounds.ts';
import { writeWideModel } from '../wide-model.ts';
import { computed } from './queue.ts';

export const wide: Scenario = {
  name: 'wide',
  about: "as queue, with a model as heavy as that of DESIGN.md's prototype",
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    const us = await writeWideModel(modelsDir);
    const questions = await openQuestions(modelsDir);
    const names = bench.rivals(['echo', 'direct', 'job-per-request', 'millrace']);
    const rivals = await Promise.all(names.map((name) => bench.stage.start(name, { modelsDir })));
    const among = questions.bodies.length;
    const load = { connections: 256, headers: computed, among, sample: 'beside' } as const;
    const figures = await runRounds({ ...bench, questions }, rivals, load);
    for (const figure of Object.values(figures)) {
      Object.assign(figure, { row_alone_us: round(us.alone), row_among_64_us: round(us.among64) });
    }
    const ratios = quotients(figures, 'rps', [
      ['millrace', 'direct'],
      ['millrace', 'echo'],
      ['millrace', 'job-per-request'],
    ]);
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
