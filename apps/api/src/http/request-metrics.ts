/**
 * The counts of an API process, for Prometheus. Requests are counted in plain numbers, and become metrics at each scrape:
 * a prom-client histogram with labels costs more than the rest of the bookkeeping of a cache hit.
 */
import { readCounter, readGauge } from '@millrace/shared/process/read-metrics';
import { SECONDS, type Series, SeriesHistogram } from '@millrace/shared/process/series-histogram';
import { Counter, collectDefaultMetrics, Registry } from 'prom-client';
import { TenantCounts } from './tenant-counts.ts';

const REQUEST_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Gauges of prom-client whose names end like the names of counters. */
const MISNAMED = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total'];
/** The status in the metrics of a client that disconnects before the response. */
export const DISCONNECTED = 499;
const CREATE = 'POST /v1/models/:model/predictions';
const CREATE_PINNED = 'POST /v1/models/:model/versions/:version/predictions';

/** The request for a prediction of a model that the registry has. */
interface Requested {
  model: string;
  version: string | undefined;
  tenant: string;
}

export class HttpMetrics {
  readonly #registry = new Registry();
  readonly #requests = new SeriesHistogram({
    name: 'millrace_http_request_seconds',
    help: 'Time from a request to its response.',
    labels: ['method', 'route', 'status'],
    buckets: REQUEST_SECONDS,
  });
  readonly #ofRoute = new Map<string, Map<number, Series>>();
  readonly #responses = new SeriesHistogram({
    name: 'millrace_response_seconds',
    help: 'Time from a request for a prediction to its response, by the outcome of the cache look-up.',
    labels: ['model', 'result'],
    buckets: SECONDS,
  });
  readonly #ofModel = new Map<string, Map<string, Series>>();
  readonly #tenants = new TenantCounts();
  readonly #errors: Counter<'route' | 'code'>;
  readonly #refused: Counter<'model' | 'reason'>;
  readonly #left: Counter<'model'>;
  readonly #collectors: (() => Promise<void>)[] = [];

  constructor() {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 10 });
    for (const name of MISNAMED) this.#registry.removeSingleMetric(name);
    this.#requests.register(this.#registry);
    this.#responses.register(this.#registry);
    const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
      new Counter({ name, help, labelNames, registers });
    this.#errors = counter('millrace_errors_total', 'Error responses, by route and code.', ['route', 'code']);
    this.#refused = counter(
      'millrace_refused_total',
      'Predictions that admission refused: memory (of the queue Redis), outputs (reserved memory), inputs (PROMISED_INPUTS), waiting (MAX_QUEUE) or deadline.',
      ['model', 'reason'],
    );
    this.#left = counter('millrace_callers_left_total', 'Callers that closed their connection before the response.', [
      'model',
    ]);
    this.#countResults();
  }

  /** The counters that are read at each scrape. */
  #countResults(): void {
    const registers = [this.#registry];
    const [ofModel, tenants] = [this.#ofModel, this.#tenants];
    new Counter({
      name: 'millrace_cache_answers_total',
      help: 'Requested predictions, by the outcome of the cache look-up.',
      labelNames: ['model', 'result'],
      registers,
      collect() {
        this.reset();
        for (const [model, results] of ofModel)
          for (const [result, { count }] of results) this.inc({ model, result }, count);
      },
    });
    new Counter({
      name: 'millrace_tenant_predictions_total',
      help: 'Requested predictions of the 20 busiest tenants, and of all others together, by the outcome of the cache look-up.',
      labelNames: ['tenant', 'result'],
      registers,
      collect() {
        this.reset();
        for (const { tenant, result, count } of tenants.scrape()) this.inc({ tenant, result }, count);
      },
    });
  }

  /** The registry for the metrics of other parts of the API. */
  get registry(): Registry {
    return this.#registry;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Counts one response. `route` is a method and a pattern, such as `GET /v1/models`, never a path: paths are unlimited. */
  responded(route: string, status: number, ms: number): void {
    let byStatus = this.#ofRoute.get(route);
    if (!byStatus) {
      byStatus = new Map();
      this.#ofRoute.set(route, byStatus);
    }
    let series = byStatus.get(status);
    if (!series) {
      const [method = '', path = ''] = route.split(' ');
      series = this.#requests.series(method, path, String(status));
      byStatus.set(status, series);
    }
    series.observe(ms / 1_000);
  }

  /** Counts one response to a POST of a prediction. `cacheStatus` is the value of the header; null for a caller that left. */
  predicted(
    request: Requested,
    startedAt: number,
    { status, cacheStatus }: { status: number; cacheStatus: string | null },
  ): void {
    const { model, version, tenant } = request;
    const ms = performance.now() - startedAt;
    this.responded(version === undefined ? CREATE : CREATE_PINNED, status, ms);
    if (status === DISCONNECTED) this.#left.inc({ model });
    if (cacheStatus === null) return;
    const result = outcomeOf(cacheStatus);
    this.#seriesOf(model, result).observe(ms / 1_000);
    this.#tenants.count(tenant, result);
  }

  #seriesOf(model: string, result: string): Series {
    let ofModel = this.#ofModel.get(model);
    if (ofModel === undefined) {
      ofModel = new Map();
      this.#ofModel.set(model, ofModel);
    }
    let series = ofModel.get(result);
    if (series === undefined) {
      series = this.#responses.series(model, result);
      ofModel.set(result, series);
    }
    return series;
  }

  /** Counts an error response. `route` as in `responded`. */
  failed(route: string, code: string): void {
    this.#errors.inc({ route, code });
  }

  /** Counts a prediction that admission refused. */
  refused(model: string, reason: string): void {
    this.#refused.inc({ model, reason });
  }

  /** Each scrape calls `read`. */
  gauge(name: string, help: string, read: () => number): void {
    readGauge(this.#registry, { name, help }, read);
  }

  /** Calls `collect` at each scrape, before the metrics are written. `collect` must end within 50 ms, also while a store stalls. */
  beforeScrape(collect: () => Promise<void>): void {
    this.#collectors.push(collect);
  }

  /** A counter with a value for each value of `label`. Each scrape calls `read`. */
  counterBy(counter: { name: string; help: string; label: string }, read: () => ReadonlyMap<string, number>): void {
    readCounter(this.#registry, counter, read);
  }

  /** All metrics in Prometheus' text format. */
  async text(): Promise<string> {
    await Promise.all(this.#collectors.map((collect) => collect()));
    return this.#registry.metrics();
  }
}

/** The parameter of `Cache-Status` with the reason of a miss. */
const FORWARDED = 'fwd=';

function outcomeOf(cacheStatus: string): string {
  if (cacheStatus.startsWith('millrace; hit')) return 'hit';
  if (cacheStatus.includes('; collapsed')) return 'collapsed';
  const at = cacheStatus.indexOf(FORWARDED);
  if (at === -1) return 'miss';
  const end = cacheStatus.indexOf(';', at);
  return cacheStatus.slice(at + FORWARDED.length, end === -1 ? undefined : end);
}
