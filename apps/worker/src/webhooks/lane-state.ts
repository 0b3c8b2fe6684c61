/** How many attempts a delivery lane may have in progress, and how long a failing lane rests. Pure functions. */

export interface LaneState {
  /** Attempts that may be in progress at the same time. */
  allowed: number;
  /** Failed attempts in a row. */
  failures: number;
}

export interface LaneLimits {
  least: number;
  most: number;
}

/** Adds one allowed attempt after a success, and halves the allowed attempts after a failure. */
export function afterAttempt(lane: LaneState, succeeded: boolean, { least, most }: LaneLimits): LaneState {
  return succeeded
    ? { allowed: Math.min(lane.allowed + 1, most), failures: 0 }
    : { allowed: Math.max(Math.floor(lane.allowed / 2), least), failures: lane.failures + 1 };
}

export interface RestBounds {
  least: number;
  most: number;
}

/**
 * The pause after a failed attempt that took `tookMs`: four times that duration, because attempts take longer when the CPU
 * is scarce. The lower bound `least` doubles after every four failures in a row. The pause is at most `most`.
 */
export function restMs({ failures }: LaneState, tookMs: number, { least, most }: RestBounds): number {
  return Math.min(Math.max(4 * tookMs, least * 2 ** Math.floor(failures / 4)), most);
}
