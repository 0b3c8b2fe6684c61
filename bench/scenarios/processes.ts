/**
 * The scenario `processes`: whether one process would limit a machine with more cores. Two API processes share the port. Processor time
 * does not depend on the number of cores, so two cores suffice for this measurement.
 */
import { mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import type { Scenario } from '../bench.ts';
import { pairRequests } from '../requests.ts';
import { atMost } from '../results.ts';
import { type NamedLoad, runLoads } from '../rounds.ts';
import { WIDTH, writeMlps } from '../tensors/models.ts';
import { randomRows, tensorRequests } from '../tensors/requests.ts';
import { computed } from './queue.ts';
import { waits } from './tensor.ts';

const env = { API_PROCESSES: '2' };
const MOST_US = 60;

export const processesScenario: Scenario = {
  name: 'processes',
  about: 'two API processes and 256 clients: the processor time of the busiest process',
  requires: ['millrace'],
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    await writeMlps(modelsDir);
    const [bundled, tensors] = await Promise.all([
      bench.stage.start('millrace', { env }),
      bench.stage.start('millrace', { modelsDir, env }),
    ]);
    const params = { modelsDir, model: 'mlp-20', dims: [WIDTH], rows: randomRows(1_024, WIDTH), headers: waits };
    const load = { connections: 256, sample: 'none' } as const;
    const loads: NamedLoad[] = [
      { ...load, label: 'queue', rival: bundled, requests: pairRequests(bench.inputs, computed) },
      { ...load, label: 'tensor', rival: tensors, requests: tensorRequests('json', { ...params, fresh: true }) },
    ];
    const figures = await runLoads(bench, loads);
    return {
      name: 'processes',
      rivals: figures,
      ratios: {},
      goals: loads.map(({ label }) =>
        atMost(`${label}: busiest process, µs`, figures[label]?.busiest_cpu_us ?? Number.NaN, MOST_US),
      ),
    };
  },
};
