/**
 * The counts of one process until they are written to Postgres: for each minute, tenant and model. `take` also returns the sums
 * over ten minutes and the hour, over all models and over all tenants, so that each read of the history reads a single series.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { addBuckets, type Buckets, countDuration } from './histogram.ts';

/** Stands for all tenants, or for all models. No tenant and no model has this name. */
export const ALL = '*';

export const COUNTS = ['accepted', 'succeeded', 'failed', 'canceled', 'expired', 'hits', 'misses', 'refused'] as const;
export type CountName = (typeof COUNTS)[number];

export const TIMES = ['wait', 'run', 'total'] as const;
export type TimeName = (typeof TIMES)[number];

/** The lengths of the steps that Postgres stores, in seconds. A read sums the longest steps that fit, so a day in steps of ten minutes is 144 rows. */
export const SPANS_S = [60, 600, 3_600] as const;
const MINUTE_MS = 60_000;

/** The most minutes of series that wait for Postgres. Beyond this number the counts are only in the sums of all models and tenants. */
const SERIES_MAX = 2_000;
/** Series that one turn of the event loop adds to their rows: less than a few milliseconds. */
const SERIES_PER_TURN = 50;

/** One stored step of a series. Times are Unix milliseconds. */
export interface StatsRow {
  tenant: string;
  model: string;
  spanS: number;
  startAt: number;
  counts: Record<CountName, number>;
  times: Record<TimeName, Buckets>;
  /** Predictions that wait at the time of the row, and the age of the oldest in ms; null where nobody looked. */
  waiting: number | null;
  oldestMs: number | null;
}

interface Series {
  counts: Record<CountName, number>;
  times: Record<TimeName, Buckets>;
  queue: QueueState | undefined;
}

export interface QueueState {
  waiting: number;
  /** The age of the oldest waiting prediction, in ms; null while no prediction waits. */
  oldestMs: number | null;
}

/** The end of a prediction. Times are Unix milliseconds, durations are milliseconds. */
export interface CountedEnd {
  tenant: string;
  model: string;
  status: 'succeeded' | 'failed' | 'canceled' | 'expired';
  createdAt: number;
  startedAt: number | null;
  completedAt: number;
  inferenceMs: number | null;
}

const newSeries = (): Series => ({
  counts: { accepted: 0, succeeded: 0, failed: 0, canceled: 0, expired: 0, hits: 0, misses: 0, refused: 0 },
  times: { wait: [], run: [], total: [] },
  queue: undefined,
});

type Models = Map<string, Series>;

export class StatsCounts {
  /** For each minute, tenant and model. */
  #minutes = new Map<number, Map<string, Models>>();
  #size = 0;
  // The series of the last call: most calls are for the same minute, tenant and model.
  #last: { minute: number; tenant: string; model: string; series: Series } | undefined;

  /** Adds one to a count. */
  count(series: { tenant: string; model: string }, name: CountName, nowMs: number): void {
    this.#seriesOf(series.tenant, series.model, nowMs).counts[name] += 1;
  }

  /** Counts an end in the minute of the end. */
  ended(end: CountedEnd): void {
    const { counts, times } = this.#seriesOf(end.tenant, end.model, end.completedAt);
    counts[end.status] += 1;
    if (end.startedAt !== null) countDuration(times.wait, end.startedAt - end.createdAt);
    if (end.inferenceMs !== null) countDuration(times.run, end.inferenceMs);
    countDuration(times.total, end.completedAt - end.createdAt);
  }

  /** Notes the queue of a model, or of all models. A later state of the minute replaces an earlier state. */
  queue(model: string, state: QueueState, nowMs: number): void {
    this.#seriesOf(ALL, model, nowMs).queue = state;
  }

  #seriesOf(tenant: string, model: string, atMs: number): Series {
    const minute = Math.floor(atMs / MINUTE_MS);
    const last = this.#last;
    if (last !== undefined && last.minute === minute && last.model === model && last.tenant === tenant)
      return last.series;
    const series = this.#find(minute, tenant, model);
    this.#last = { minute, tenant, model, series };
    return series;
  }

  #find(minute: number, tenant: string, model: string): Series {
    const tenants = this.#minutes.get(minute) ?? new Map<string, Models>();
    this.#minutes.set(minute, tenants);
    const found = tenants.get(tenant)?.get(model);
    if (found !== undefined) return found;
    // The number of minutes is unlimited too, because an end of any age can be recorded now.
    if (this.#size >= SERIES_MAX && (tenant !== ALL || model !== ALL)) return this.#find(minute, ALL, ALL);
    const models = tenants.get(tenant) ?? new Map<string, Series>();
    tenants.set(tenant, models);
    const series = newSeries();
    models.set(model, series);
    this.#size += 1;
    return series;
  }

  /** Returns the rows for Postgres, and starts again at zero. Many series take several turns of the event loop. */
  async take(): Promise<StatsRow[]> {
    const minutes = this.#minutes;
    this.#minutes = new Map();
    this.#size = 0;
    this.#last = undefined;
    const rows = new Map<string, StatsRow>();
    let added = 0;
    for (const [minute, tenants] of minutes)
      for (const [tenant, models] of tenants)
        for (const [model, series] of models) {
          addSeries(rows, { minute, tenant, model, series });
          added += 1;
          if (added % SERIES_PER_TURN === 0) await nextTurn();
        }
    return [...rows.values()];
  }
}

interface SeriesAt {
  minute: number;
  tenant: string;
  model: string;
  series: Series;
}

/** Adds a series to its rows: of its minute and its hour, of its tenant and all tenants, of its model and all models. */
function addSeries(rows: Map<string, StatsRow>, { minute, tenant, model, series }: SeriesAt): void {
  for (const spanS of SPANS_S) {
    const spanMs = spanS * 1_000;
    const startAt = Math.floor((minute * MINUTE_MS) / spanMs) * spanMs;
    for (const ofTenant of new Set([tenant, ALL]))
      for (const ofModel of new Set([model, ALL])) {
        // The queue of a model is no part of the queue of all models: the caller notes both.
        if (series.queue !== undefined && isEmpty(series) && ofModel !== model) continue;
        const row = rowOf(rows, { tenant: ofTenant, model: ofModel, spanS, startAt });
        for (const name of COUNTS) row.counts[name] += series.counts[name];
        for (const name of TIMES) addBuckets(row.times[name], series.times[name]);
        if (series.queue === undefined || ofModel !== model || ofTenant !== tenant) continue;
        row.waiting = series.queue.waiting;
        row.oldestMs = series.queue.oldestMs;
      }
  }
}

const isEmpty = ({ counts }: Series): boolean => COUNTS.every((name) => counts[name] === 0);

function rowOf(rows: Map<string, StatsRow>, key: Pick<StatsRow, 'tenant' | 'model' | 'spanS' | 'startAt'>): StatsRow {
  const name = `${key.startAt} ${key.spanS} ${key.tenant} ${key.model}`;
  const found = rows.get(name);
  if (found !== undefined) return found;
  const { counts, times } = newSeries();
  const row = { ...key, counts, times, waiting: null, oldestMs: null };
  rows.set(name, row);
  return row;
}
