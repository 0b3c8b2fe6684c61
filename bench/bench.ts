import type { Inputs } from './inputs.ts';
import type { Driver } from './load/load.ts';
import type { ScenarioResult } from './results.ts';
import type { RivalName } from './rivals.ts';
import type { Stage } from './stage.ts';

/** Everything that a scenario receives. Each scenario has its own stage, without data of an earlier scenario. */
export interface Bench {
  stage: Stage;
  driver: Driver;
  inputs: Inputs;
  seconds: number;
  rounds: number;
  /** Predictions that wait in `backlog`. */
  waiting: number;
  /** Filters the rivals that a scenario names: returns the rivals that the command line selected. */
  rivals(names: readonly RivalName[]): RivalName[];
  /** Prints a progress line. */
  say(message: string): void;
}

export interface Scenario {
  name: string;
  about: string;
  /** Rivals that the scenario cannot do without. The scenario is skipped when they are not selected. */
  requires?: readonly RivalName[];
  run(bench: Bench): Promise<ScenarioResult>;
}
