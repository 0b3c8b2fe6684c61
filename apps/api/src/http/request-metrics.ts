/**
 * The counts of an API process, for Prometheus. Requests are counted in plain numbers, and become metrics at each scrape:
 * a prom-client histogram with labels costs more than the rest of the bookkeeping of a cache hit.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

const BUCKETS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

interface Series {
  labels: string;
  count: number;
  sumMs: number;
  buckets: Float64Array;
}

export class HttpMetrics {
  readonly #registry = new Registry();
  readonly #requests = new Map<string, Map<number, Series>>();
  readonly #cache = new Map<string, Map<string, number>>();
  readonly #collectors: (() => Promise<void>)[] = [];

  constructor() {
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 10 });
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
    let byStatus = this.#requests.get(route);
    if (!byStatus) {
      byStatus = new Map();
      this.#requests.set(route, byStatus);
    }
    let series = byStatus.get(status);
    if (!series) {
      const [method = '', path = ''] = route.split(' ');
      const labels = `method="${method}",route="${path}",status="${status}"`;
      series = { labels, count: 0, sumMs: 0, buckets: new Float64Array(BUCKETS_MS.length) };
      byStatus.set(status, series);
    }
    series.count += 1;
    series.sumMs += ms;
    let at = 0;
    while (ms > (BUCKETS_MS[at] ?? Number.POSITIVE_INFINITY)) at += 1;
    if (at < BUCKETS_MS.length) series.buckets[at] = (series.buckets[at] ?? 0) + 1;
  }

  /** Counts one response to a POST of a prediction. `cacheStatus` is the value of the header. */
  predicted(route: string, model: string, status: number, cacheStatus: string | null, startedAt: number): void {
    this.responded(route, status, performance.now() - startedAt);
    if (cacheStatus === null) return;
    const result = outcomeOf(cacheStatus);
    let counts = this.#cache.get(model);
    if (!counts) {
      counts = new Map();
      this.#cache.set(model, counts);
    }
    counts.set(result, (counts.get(result) ?? 0) + 1);
  }

  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** Calls `collect` at each scrape, before the metrics are written. `collect` must end within 50 ms, also while a store stalls. */
  beforeScrape(collect: () => Promise<void>): void {
    this.#collectors.push(collect);
  }

  /** A counter with a value for each value of `label`. Each scrape calls `read`. */
  counterBy(
    { name, help, label }: { name: string; help: string; label: string },
    read: () => ReadonlyMap<string, number>,
  ): void {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, count] of read()) this.inc({ [label]: value }, count);
      },
    });
  }

  /** All metrics in Prometheus' text format. */
  async text(): Promise<string> {
    await Promise.all(this.#collectors.map((collect) => collect()));
    return `${this.#requestText()}\n${this.#cacheText()}\n${await this.#registry.metrics()}`;
  }

  #requestText(): string {
    const name = 'millrace_http_request_seconds';
    const lines = [`# HELP ${name} Time from a request to its response.`, `# TYPE ${name} histogram`];
    for (const byStatus of this.#requests.values()) {
      for (const { labels, count, sumMs, buckets } of byStatus.values()) {
        let under = 0;
        for (const [at, ms] of BUCKETS_MS.entries()) {
          under += buckets[at] ?? 0;
          lines.push(`${name}_bucket{${labels},le="${ms / 1_000}"} ${under}`);
        }
        lines.push(`${name}_bucket{${labels},le="+Inf"} ${count}`);
        lines.push(`${name}_sum{${labels}} ${sumMs / 1_000}`, `${name}_count{${labels}} ${count}`);
      }
    }
    return `${lines.join('\n')}\n`;
  }

  #cacheText(): string {
    const name = 'millrace_cache_answers_total';
    const lines = [
      `# HELP ${name} Requested predictions, by the outcome of the cache look-up.`,
      `# TYPE ${name} counter`,
    ];
    for (const [model, counts] of this.#cache)
      for (const [result, count] of counts) lines.push(`${name}{model="${model}",result="${result}"} ${count}`);
    return `${lines.join('\n')}\n`;
  }
}

function outcomeOf(cacheStatus: string): string {
  if (cacheStatus.startsWith('millrace; hit')) return 'hit';
  if (cacheStatus.endsWith('collapsed')) return 'collapsed';
  return /fwd=(\w+)/.exec(cacheStatus)?.[1] ?? 'miss';
}
