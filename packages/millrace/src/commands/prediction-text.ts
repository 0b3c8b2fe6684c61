/** Predictions as text for a person. */
import type { ListedPrediction, Prediction } from '@millrace/client';
import { harmless, type Output } from '../program/output.ts';

export function outputText({ output, outputs }: Pick<Prediction, 'output' | 'outputs'>): string {
  const value = outputs ?? output;
  return typeof value === 'string' ? harmless(value) : JSON.stringify(value, undefined, 2);
}

/** The queue's estimate is a time of the server, so the clock of this machine must not decide: only the position is exact. */
export function progressText({ status, queue }: Pick<Prediction, 'status' | 'queue'>, now = Date.now()): string {
  if (!queue) return status;
  const seconds = Math.max(0, Math.round((Date.parse(queue.estimated_completion_at) - now) / 1_000));
  return `${status}, position ${queue.position}, result in about ${durationText(seconds * 1_000)}`;
}

export function durationText(ms: number | null): string {
  if (ms === null) return '-';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 90) return `${seconds} s`;
  return seconds < 5_400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

/** A prediction in a form for reading. */
export function predictionText(prediction: Prediction, out: Output): string {
  const { id, model, version, status, error, attempt, cache, metrics, created_at, completed_at } = prediction;
  const rows: [string, string][] = [
    ['id', id],
    ['status', out.status(status)],
    ['model', `${model}/${version}`],
    ['created', out.time(created_at)],
    ['completed', completed_at ? out.time(completed_at) : '-'],
    ['cache', cache ?? '-'],
    ['attempt', String(attempt)],
    [
      'time',
      `wait ${durationText(metrics.wait_ms)}, run ${durationText(metrics.run_ms)}, total ${durationText(metrics.total_ms)}`,
    ],
  ];
  if (prediction.queue) rows.push(['queue', progressText(prediction)]);
  if (error) rows.push(['error', harmless(`${error.code}: ${error.detail}`)]);
  const lines = rows.map(([name, value]) => `${out.color.bold(name.padEnd(9))}  ${value}`);
  return status === 'succeeded' ? `${lines.join('\n')}\n\n${outputText(prediction)}` : lines.join('\n');
}

export function predictionRows(predictions: readonly ListedPrediction[], out: Output): string {
  if (predictions.length === 0) return 'There are no predictions with these filters.';
  return out.table(
    ['ID', 'MODEL', 'STATUS', 'CREATED', 'TOTAL', 'CACHE', 'ERROR'],
    predictions.map(({ id, model, version, status, created_at, metrics, cache, error }) => [
      id,
      `${model}/${version}`,
      status,
      out.time(created_at),
      durationText(metrics.total_ms),
      cache ?? '-',
      error?.code ?? '',
    ]),
  );
}
