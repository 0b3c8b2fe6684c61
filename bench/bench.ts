import type { Driver } from './load/load.ts';
import type { Questions } from './questions.ts';
import type { ScenarioResult } from './results.ts';
import type { RivalName } from './rivals.ts';
import type { Stage } from './stage.ts';

/** What every scenario is given. The stage is its own: nothing that ran before is still there. */
export interface Bench {
  stage: Stage;
  driver: Driver;
  questions: Questions;
  seconds: number;
  rounds: number;
  /** Predictions that wait in `backlog`. */
  waiting: number;
  /** Of the rivals that a scenario names, those that are to run. */
  rivals(names: readonly RivalName[]): RivalName[];
  /** The progress line. */
  say(message: string): void;
}

export interface Scenario {
  name: string;
  about: string;
  /** Rivals without which it says nothing: it is left out when they are. */
  requires?: readonly RivalName[];
  run(bench: Bench): Promise<ScenarioResult>;
}
