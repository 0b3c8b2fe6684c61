/** Gives processes a wrong clock, without a tool that a machine may lack. */

import path from 'node:path';
import { pathToFileURL } from 'node:url';

const PRELOAD = pathToFileURL(path.join(import.meta.dirname, 'shifted-clock.mjs')).href;

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** The environment of a process whose clock is off by `shiftMs`, from its start or from its first SIGUSR2. */
export const shiftedClock = (shiftMs: number, from: 'at-start' | 'at-signal'): Record<string, string> => ({
  NODE_OPTIONS: `--import=${PRELOAD}`,
  CLOCK_SHIFT_MS: String(shiftMs),
  CLOCK_SHIFT: from,
});
