/**
 * A histogram for paths on which many thousand values arrive in a second. prom-client sorts and joins the labels at each value,
 * which costs more than the rest of the bookkeeping. Here a caller keeps the series of its labels, and a value costs a short loop.
 */
import type { Metric, Registry } from 'prom-client';

export interface SeriesHistogramParams {
  name: string;
  help: string;
  labels: readonly string[];
  /** Upper bounds, ascending. */
  buckets: readonly number[];
}

export interface Exemplar {
  labelSet: { trace_id: string };
  value: number;
  timestamp: number;
}

export class Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly counts: Float64Array;
  readonly exemplars = new Map<number, Exemplar>();
  readonly #bounds: readonly number[];
  count = 0;
  sum = 0;

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** `traceId`: the trace of the value, as an example of its bucket. */
  observe(value: number, traceId?: string): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at += 1;
    this.counts[at] = (this.counts[at] as number) + 1;
    this.count += 1;
    this.sum += value;
    if (traceId !== undefined)
      this.exemplars.set(at, { labelSet: { trace_id: traceId }, value, timestamp: Date.now() / 1_000 });
  }
}

export class SeriesHistogram {
  readonly name: string;
  readonly help: string;
  readonly #labels: readonly string[];
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  constructor({ name, help, labels, buckets }: SeriesHistogramParams) {
    this.name = name;
    this.help = help;
    this.#labels = labels;
    this.#bounds = buckets;
  }

  /** The registry writes the histogram as it writes the metrics of prom-client. */
  register(registry: Registry): void {
    registry.registerMetric(this as unknown as Metric);
  }

  /** The series of label values, in the order of `labels`. */
  series(...values: string[]): Series {
    const key = values.join('\n');
    let series = this.#series.get(key);
    if (series === undefined) {
      series = new Series(Object.fromEntries(this.#labels.map((name, at) => [name, values[at] ?? ''])), this.#bounds);
      this.#series.set(key, series);
    }
    return series;
  }

  async get() {
    const { name, help } = this;
    return {
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: [...this.#series.values()].flatMap((one) => this.#samplesOf(one)),
    };
  }

  #samplesOf({ labels, counts, count, sum, exemplars }: Series) {
    const { name } = this;
    let under = 0;
    const buckets = [...this.#bounds, '+Inf'].map((le, at) => {
      under += counts[at] ?? 0;
      return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: under, exemplar: exemplars.get(at) };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}

/** Bounds of durations in seconds, from a millisecond to half an hour. */
export const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800];
