/** Converts the parameters of `GET /v1/stats` to a range of whole steps. */
import { ApiError } from '@millrace/shared/errors';
import type { Static } from 'typebox';
import { msOfTime } from '../http/time-parameter.ts';
import { STEP_MAX_S, type StatsQuery } from './schemas.ts';

const HOUR_MS = 3_600_000;
const POINTS_MAX = 1_500;
const POINTS_DEFAULT = 200;
/** The longest range of steps that are not whole hours: Postgres sums a row for each minute of the range. */
const MINUTES_RANGE_MS = 48 * HOUR_MS;
/** The steps that the API chooses from, in seconds. */
const STEPS_S = [60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 604_800, STEP_MAX_S];

export interface StepRange {
  /** The beginning of the first step, Unix ms. */
  fromMs: number;
  /** Exclusive; not after the present. */
  toMs: number;
  stepS: number;
  points: number;
}

/** Throws `invalid_request`. */
export function rangeOf({ from, to, step }: Static<typeof StatsQuery>, nowMs: number): StepRange {
  const endMs = to === undefined ? nowMs : timeOf('to', to);
  const beginMs = from === undefined ? endMs - HOUR_MS : timeOf('from', from);
  if (beginMs >= endMs) throw invalid('from', from ?? '', 'a time before `to`');
  const toMs = Math.min(endMs, nowMs);
  const stepS = step ?? defaultStep(beginMs, endMs);
  const stepMs = stepS * 1_000;
  // 48 hours of a day and two parts of days have one step more.
  if (stepMs % HOUR_MS !== 0 && endMs - beginMs > MINUTES_RANGE_MS + stepMs)
    throw invalid('step', String(stepS), 'a multiple of 3600 for more than 48 hours');
  const fromMs = Math.floor(beginMs / stepMs) * stepMs;
  const points = Math.max(0, Math.ceil((toMs - fromMs) / stepMs));
  if (points > POINTS_MAX)
    throw invalid('step', String(stepS), `at least ${Math.ceil((endMs - beginMs) / POINTS_MAX / 60_000) * 60}`);
  return { fromMs, toMs, stepS, points };
}

function defaultStep(beginMs: number, endMs: number): number {
  const fits = (stepS: number) => Math.ceil((endMs - beginMs) / (stepS * 1_000)) + 1 <= POINTS_DEFAULT;
  const isWhole = (stepS: number) => stepS % 3_600 === 0 || endMs - beginMs <= MINUTES_RANGE_MS;
  return STEPS_S.find((stepS) => fits(stepS) && isWhole(stepS)) ?? STEP_MAX_S;
}

function timeOf(name: string, text: string): number {
  const ms = msOfTime(text);
  if (ms !== undefined) return ms;
  throw invalid(name, text, 'a time such as 2026-01-31T12:00:00Z');
}

function invalid(pointer: string, got: string, expected: string): ApiError {
  const shown = got.slice(0, 100);
  return new ApiError('invalid_request', `Invalid ${pointer} '${shown}': expected ${expected}.`, {
    faults: [{ in: 'query', pointer, message: 'The value does not fit', expected, got: shown }],
  });
}
