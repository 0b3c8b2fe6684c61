/** Reads Millrace's own metrics in Prometheus text format. */
import type { Rival } from './stage.ts';

/** The sum of a metric over its label sets. Undefined when no metric has that name. */
export function sumOf(text: string, name: string, label = ''): number | undefined {
  const lines = text.split('\n').filter((line) => /^[a-zA-Z_:][\w:]*/.exec(line)?.[0] === name && line.includes(label));
  if (lines.length === 0) return undefined;
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

export async function scrape(url: string): Promise<string> {
  const response = await fetch(url);
  return response.ok ? response.text() : '';
}

/** Node's histogram measures the time between two samples that are 10 ms apart, so an idle event loop reads 10 ms. */
const LOOK_MS = 10;

/** The p99 delay of the event loops of API and worker since the previous call. */
export async function eventLoopDelays({ metrics }: Rival): Promise<Record<string, number | undefined>> {
  if (!metrics) return {};
  const [api, worker] = await Promise.all([scrape(metrics.api), scrape(metrics.worker)]);
  // prom-client resets the histogram at each scrape.
  const p99 = (text: string) => {
    const seconds = sumOf(text, 'nodejs_eventloop_lag_p99_seconds');
    return seconds === undefined ? undefined : Math.max(0, seconds * 1_000 - LOOK_MS);
  };
  return { api_loop_p99_ms: p99(api), worker_loop_p99_ms: p99(worker) };
}

/** Rows that the engines of a Millrace have computed since they started. */
export async function rowsComputed({ metrics }: Rival): Promise<number | undefined> {
  return metrics ? sumOf(await scrape(metrics.worker), 'millrace_worker_rows_total') : undefined;
}
