/** Converts the parameters of `GET /v1/stats` to a range of whole steps. */
import { ApiError } from '@millrace/shared/errors';
import type { Static } from 'typebox';
import { decodePlace, encodePlace, invalidCursor } from '../http/cursor.ts';
import { msOfTime } from '../http/time-parameter.ts';
import { type ModelStatsQuery, STEP_MAX_S, STEPS_MAX, type StatsQuery } from './schemas.ts';

const HOUR_MS = 3_600_000;
const LAST_MS = 0xffff_ffff_ffff;
const POINTS_DEFAULT = 200;
/** The longest range of steps that are not whole hours: Postgres sums a row for each minute of the range. */
const MINUTES_RANGE_MS = 48 * HOUR_MS;
/** The steps that the API chooses from, in seconds. */
const STEPS_S = [60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 604_800, STEP_MAX_S];

export interface StepRange {
  /** The beginning of the first step, Unix ms. */
  fromMs: number;
  /** Exclusive; not after the present. */
  toMs: number;
  stepS: number;
  points: number;
}

/** A range that ends so short a time ago ends at the present: its request took this time. */
const PRESENT_MS = 5_000;

export const reachesPresent = ({ toMs, points }: StepRange, nowMs: number): boolean =>
  points > 0 && Math.abs(nowMs - toMs) <= PRESENT_MS;

/** The whole range. Throws `invalid_request`. */
function rangeOf(
  { from, to, step }: Pick<Static<typeof StatsQuery>, 'from' | 'to' | 'step'>,
  nowMs: number,
): StepRange {
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
  if (points > STEPS_MAX)
    throw invalid('step', String(stepS), `at least ${Math.ceil((endMs - beginMs) / STEPS_MAX / 60_000) * 60}`);
  return { fromMs, toMs, stepS, points };
}

interface StepPage extends StepRange {
  /** The cursor of the next page; null on the last page. */
  next: string | null;
}

/** The steps of a page. The pages of a list have the same end, also if the end is the present. Throws `invalid_cursor`. */
export function pageOf(query: Static<typeof StatsQuery>, tenant: string, nowMs: number): StepPage {
  const { model = null, from = null, to = null, step = null, limit = STEPS_MAX, cursor } = query;
  const list = JSON.stringify(['stats', tenant, model, from, to, step]);
  const range =
    cursor === undefined ? rangeOf(query, nowMs) : rangeAt(decodePlace(list, cursor, [0, 0, 0] as Place), cursor);
  const { fromMs, toMs, stepS } = range;
  const points = Math.min(limit, range.points);
  if (points === range.points) return { ...range, next: null };
  const nextMs = fromMs + points * stepS * 1_000;
  return { fromMs, toMs: nextMs, stepS, points, next: encodePlace(list, [nextMs, toMs, stepS]) };
}

interface ModelPage extends StepRange {
  /** The name of the list, for its cursors. */
  list: string;
  after: { requests: number; model: string } | null;
}

/** The range of a page of models. The pages of a list have the same range. Throws `invalid_cursor`. */
export function modelPageOf(query: Static<typeof ModelStatsQuery>, tenant: string, nowMs: number): ModelPage {
  const { from = null, to = null, step = null, cursor } = query;
  const list = JSON.stringify(['stats/models', tenant, from, to, step]);
  if (cursor === undefined) return { ...rangeOf(query, nowMs), list, after: null };
  const like: [...Place, requests: number, model: string] = [0, 0, 0, 0, ''];
  const [fromMs, toMs, stepS, requests, model] = decodePlace(list, cursor, like);
  return { ...rangeAt([fromMs, toMs, stepS], cursor), list, after: { requests, model } };
}

/** The beginning and the end of the other pages, and the step. */
type Place = [fromMs: number, toMs: number, stepS: number];

/** A client can write a cursor itself. Throws `invalid_cursor`. */
function rangeAt([fromMs, toMs, stepS]: Place, cursor: string): StepRange {
  const stepMs = stepS * 1_000;
  const isStep = stepS >= 60 && stepS <= STEP_MAX_S && stepS % 60 === 0;
  const isRange = fromMs >= 0 && fromMs % stepMs === 0 && fromMs < toMs && toMs <= LAST_MS;
  const points = Math.ceil((toMs - fromMs) / stepMs);
  const isSmall = points <= STEPS_MAX && (stepMs % HOUR_MS === 0 || toMs - fromMs <= MINUTES_RANGE_MS + 2 * stepMs);
  if (isStep && isRange && isSmall) return { fromMs, toMs, stepS, points };
  throw invalidCursor('The cursor is damaged, or this API did not return the cursor.', cursor);
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
