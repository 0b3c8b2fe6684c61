/** The scenarios of `npm run bench`, in the order in which they run. */
import type { Scenario } from './bench.ts';
import { accept } from './scenarios/accept.ts';
import { backlog } from './scenarios/backlog.ts';
import { consoleScenario } from './scenarios/console.ts';
import { engines } from './scenarios/engines.ts';
import { estimate } from './scenarios/estimate.ts';
import { hit } from './scenarios/hit.ts';
import { hold10k } from './scenarios/hold10k.ts';
import { lone } from './scenarios/lone.ts';
import { processesScenario } from './scenarios/processes.ts';
import { promised } from './scenarios/promised.ts';
import { queue } from './scenarios/queue.ts';
import { rowsScenario } from './scenarios/rows.ts';
import { distant, image, large, tensor } from './scenarios/tensor.ts';
import { text } from './scenarios/text.ts';
import { weights } from './scenarios/weights.ts';
import { wide } from './scenarios/wide.ts';

export const scenarios: readonly Scenario[] = [
  hit,
  queue,
  wide,
  lone,
  accept,
  hold10k,
  rowsScenario,
  tensor,
  image,
  distant,
  large,
  promised,
  text,
  weights,
  processesScenario,
  engines,
  estimate,
  backlog,
  consoleScenario,
];
