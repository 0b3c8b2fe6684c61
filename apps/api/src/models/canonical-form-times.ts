/** Measures `canonicalize` of the handlers of models, and logs slow inputs. */
import { SECONDS, type Series, SeriesHistogram } from '@millrace/shared/process/series-histogram';
import type { Logger } from 'pino';

/** An input that takes longer is logged. */
const SLOW_MS = 250;

export interface TimedVersion {
  model: string;
  version: string;
}

export class CanonicalFormTimes {
  readonly #log: Pick<Logger, 'warn'>;
  readonly #ofModel = new Map<string, Series>();
  /** `millrace_canonicalize_seconds`, for the metrics of the process. */
  readonly histogram = new SeriesHistogram({
    name: 'millrace_canonicalize_seconds',
    help: 'Time of canonicalize in the handler of a model for one input.',
    labels: ['model'],
    buckets: SECONDS,
  });

  constructor(log: Pick<Logger, 'warn'>) {
    this.#log = log;
  }

  took({ model, version }: TimedVersion, tenant: string, ms: number): void {
    let series = this.#ofModel.get(model);
    if (series === undefined) {
      series = this.histogram.series(model);
      this.#ofModel.set(model, series);
    }
    series.observe(ms / 1_000);
    if (ms >= SLOW_MS) this.#log.warn({ model, version, tenant, ms: Math.round(ms) }, 'a canonical form was slow');
  }
}
