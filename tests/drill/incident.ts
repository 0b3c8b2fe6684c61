/** An incident: how it is injected and healed, which alert must fire, and which signals must name its cause. */
import type { DrillStage } from './drill-stage.ts';

export type Heal = () => Promise<void> | void;

export interface OwnAlert {
  name: string;
  /** Labels that name the cause. */
  labels?: Readonly<Record<string, string>> | ((stage: DrillStage) => Readonly<Record<string, string>>);
}

export interface LogLine {
  process: 'api' | 'worker';
  message: string;
  fields: Readonly<Record<string, string | RegExp>>;
}

export interface Incident {
  name: string;
  /** Description in the table. */
  how: string;
  /** Seconds of normal traffic before the incident, for an alert that compares with the past. */
  calmS?: number;
  alert: OwnAlert;
  /** Alerts on the effects of the same cause, which may also fire, each with its reason. */
  effects?: Readonly<Record<string, string>>;
  /** Seconds in which no division helps, such as an age of 30 s in an expression. */
  fixedS?: number;
  /** Injects the incident. Resolves to the function that heals the incident. */
  inject(stage: DrillStage): Promise<Heal>;
  /** Log lines that name the cause. */
  lines?: readonly LogLine[] | ((stage: DrillStage) => readonly LogLine[]);
  /** Looks at other signals while the incident lasts. Returns a sentence for each missing signal. */
  signals?(stage: DrillStage): Promise<readonly string[]>;
}
