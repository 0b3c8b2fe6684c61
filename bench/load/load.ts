/** The load of a scenario: its requests and its figures, with wrk or autocannon as the client. */
import { spawnSync } from 'node:child_process';
import { runAutocannon } from './autocannon.ts';
import { runWrk } from './wrk.ts';

/**
 * The part of each body that the client replaces by a counter, so that no request repeats an earlier request: seven
 * decimal digits, four characters of base64, or three bytes of a little-endian float32 below 2.
 */
export interface Fresh {
  kind: 'decimal' | 'base64' | 'float';
  /** The position of the part in every body, in bytes. */
  at: number;
}

/** A closed loop: each of `connections` clients sends a body, waits for the response and sends the next body. */
export interface Load {
  url: string;
  connections: number;
  seconds: number;
  /** Without a content-type, the bodies are sent as application/json. */
  headers: Readonly<Record<string, string>>;
  /** The clients send the bodies in turn and start again at the end. */
  bodies: readonly (string | Buffer)[];
  fresh?: Fresh | undefined;
  /** Folder for the files that a driver needs. */
  dir: string;
}

export interface LoadFigures {
  requests: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  /** Requests without a response, or with a status other than 2xx. */
  failed: number;
}

export type Driver = 'wrk' | 'autocannon';

/**
 * Chooses wrk where it is installed: wrk uses a tenth of the processor time that autocannon takes away from the system.
 */
export function findDriver(): Driver {
  return spawnSync('wrk', ['--version']).error === undefined ? 'wrk' : 'autocannon';
}

export function drive(driver: Driver, load: Load): Promise<LoadFigures> {
  return driver === 'wrk' ? runWrk(load) : runAutocannon(load);
}
