/**
 * The metrics of ended predictions. The recorder observes each end once, when the ledger has the end, so the histograms contain
 * exactly the predictions of the ledger: leaders and followers, promises and callers that waited. A hit creates no prediction.
 */
import type { Text } from '@millrace/shared/predictions/long-text';
import { SECONDS, type Series, SeriesHistogram } from '@millrace/shared/process/series-histogram';
import { Counter, type Registry } from 'prom-client';

/** An end that is recorded in the ledger. Times are Unix ms. A TerminalRow has all of these members. */
export interface EndedPrediction {
  id: string;
  tenant: string;
  model: string;
  version: string;
  priority: string;
  status: string;
  /** JSON text of the output or of the problem. */
  result: Text;
  createdAt: number;
  startedAt: number | null;
  completedAt: number;
  inferenceMs: number | null;
  attempts: number;
  options: object | null;
}

const LABELS = ['model', 'version', 'priority'] as const;
/** The characters of a problem in which `codeOf` finds the code: `code` is one of the first members. */
const CODE_WITHIN = 1_000;

export interface PredictionMetrics {
  ended(ends: readonly EndedPrediction[]): void;
}

/** `onFailed` receives each end that failed or expired. */
export function createPredictionMetrics(
  registry: Registry,
  onFailed: (end: EndedPrediction, code: string) => void,
): PredictionMetrics {
  const histogram = (name: string, help: string) => {
    const created = new SeriesHistogram({ name, help, labels: LABELS, buckets: SECONDS });
    created.register(registry);
    return created;
  };
  const wait = histogram(
    'millrace_prediction_wait_seconds',
    'Time from the creation of a prediction to its start: `metrics.wait_ms`.',
  );
  const run = histogram(
    'millrace_prediction_run_seconds',
    'Time of the run that a prediction was part of: `metrics.run_ms`.',
  );
  const total = histogram(
    'millrace_prediction_total_seconds',
    'Time from the creation of a prediction to its end: `metrics.total_ms`.',
  );
  const known = new Map<string, EndSeries>();
  let last: EndSeries | undefined;
  // Rows of one statement mostly have the same labels, so most look-ups are three comparisons.
  const seriesOf = ({ model, version, priority }: EndedPrediction): EndSeries => {
    if (last?.model === model && last.version === version && last.priority === priority) return last;
    const key = JSON.stringify([model, version, priority]);
    last = known.get(key);
    if (last === undefined) {
      const [waits, runs, totals] = [wait, run, total].map((of) => of.series(model, version, priority));
      last = { model, version, priority, wait: waits!, run: runs!, total: totals!, ends: new Map() };
      known.set(key, last);
    }
    return last;
  };
  countEnds(registry, known);
  return {
    ended(rows) {
      for (const row of rows) {
        const series = seriesOf(row);
        const traceId = sampledTrace(row.options);
        if (row.startedAt !== null) observe(series.wait, row.startedAt - row.createdAt, traceId);
        if (row.inferenceMs !== null) observe(series.run, row.inferenceMs, traceId);
        observe(series.total, row.completedAt - row.createdAt, traceId);
        const { status } = row;
        const code = status === 'succeeded' ? '' : codeOf(row.result);
        const kind = `${status} ${code}`;
        series.ends.set(kind, (series.ends.get(kind) ?? 0) + 1);
        if (status === 'failed' || status === 'expired') onFailed(row, code);
      }
    },
  };
}

const observe = (to: Series, ms: number, traceId: string | undefined): void =>
  to.observe(Math.max(0, ms) / 1_000, traceId);

interface EndSeries {
  model: string;
  version: string;
  priority: string;
  wait: Series;
  run: Series;
  total: Series;
  /** The number of ends by `status code`. */
  ends: Map<string, number>;
}

/**
 * The counter of ends. The counts are passed to prom-client at each scrape, and not at each end, because an `inc` with four labels costs
 * more than the three histograms.
 */
function countEnds(registry: Registry, known: ReadonlyMap<string, EndSeries>): void {
  new Counter({
    name: 'millrace_ends_total',
    help: 'Ended predictions, by status, and by the code of the error of a prediction without success.',
    labelNames: ['model', 'version', 'status', 'code'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { model, version, ends } of known.values())
        for (const [kind, count] of ends) {
          const [status = '', code = ''] = kind.split(' ');
          this.inc({ model, version, status, code }, count);
        }
    },
  });
}

const codeOf = (result: EndedPrediction['result']): string =>
  /"code":"([a-z_]{1,40})"/.exec(String(result.slice(0, CODE_WITHIN)))?.[1] ?? '';

/** The id of the trace in the W3C trace context of a request. Undefined for a trace that is not sampled, because no store has this trace. */
function sampledTrace(options: object | null): string | undefined {
  if (options === null || !('trace' in options)) return undefined;
  return /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f][13579bdf]/.exec(String(options.trace))?.[1];
}
