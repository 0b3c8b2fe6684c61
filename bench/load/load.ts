import { spawnSync } from 'node:child_process';
import { runAutocannon } from './autocannon.ts';
import { runWrk } from './wrk.ts';

/** A closed loop: each of `connections` clients sends a body, waits for its answer and sends the next. */
export interface Load {
  url: string;
  connections: number;
  seconds: number;
  headers: Readonly<Record<string, string>>;
  /** JSON texts, sent in turn and over again; none holds a line break. */
  bodies: readonly string[];
  /** For the files that a driver needs. */
  dir: string;
}

export interface LoadFigures {
  requests: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  /** No answer, or one that is not 2xx. */
  failed: number;
}

export type Driver = 'wrk' | 'autocannon';

/** wrk where it is installed: it takes a tenth of the processor that autocannon takes from what is measured. */
export function findDriver(): Driver {
  return spawnSync('wrk', ['--version']).error === undefined ? 'wrk' : 'autocannon';
}

export function drive(driver: Driver, load: Load): Promise<LoadFigures> {
  return driver === 'wrk' ? runWrk(load) : runAutocannon(load);
}
