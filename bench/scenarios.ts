import type { Scenario } from './bench.ts';
import { hit } from './scenarios/hit.ts';
import { lone } from './scenarios/lone.ts';
import { queue } from './scenarios/queue.ts';

export const scenarios: readonly Scenario[] = [hit, queue, lone];
