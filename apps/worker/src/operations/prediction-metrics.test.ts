import { LongText } from '@millrace/shared/predictions/long-text';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { writeMetrics } from './exposition.ts';
import { createPredictionMetrics, type EndedPrediction } from './prediction-metrics.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const context = (flags: string) => `00-${TRACE}-00f067aa0ba902b7-${flags} vendor=1`;
const end = (more: Partial<EndedPrediction>): EndedPrediction => ({
  id: 'p1',
  tenant: 'acme',
  model: 'm',
  version: '1',
  priority: 'normal',
  status: 'succeeded',
  result: '{}',
  createdAt: 1_000,
  startedAt: 1_200,
  completedAt: 1_300,
  inferenceMs: 40,
  attempts: 1,
  options: null,
  ...more,
});

function open() {
  const registry = new Registry();
  const failed: [string, string][] = [];
  const metrics = createPredictionMetrics(registry, ({ id }, code) => void failed.push([id, code]));
  return { metrics, failed, text: (isOpen: boolean) => writeMetrics(registry, isOpen) };
}

test('an end is observed with its own times, and its sampled trace is the example of its buckets in OpenMetrics', async () => {
  const { metrics, text } = open();
  metrics.ended([end({ options: { trace: context('01') } })]);
  const openMetrics = await text(true);
  const bucket = 'millrace_prediction_wait_seconds_bucket{model="m",version="1",priority="normal",le="0.25"} 1';
  expect(openMetrics).toContain(`${bucket} # {trace_id="${TRACE}"} 0.2 `);
  expect(openMetrics).toContain('millrace_prediction_run_seconds_sum{model="m",version="1",priority="normal"} 0.04');
  expect(openMetrics).toContain('millrace_prediction_total_seconds_sum{model="m",version="1",priority="normal"} 0.3');
  expect(await text(false)).not.toContain('trace_id');
});

test('a trace that is not sampled, and a text that is no trace, is no example', async () => {
  const { metrics, text } = open();
  for (const trace of [context('00'), 'x', '00-zz']) metrics.ended([end({ options: { trace } })]);
  expect(await text(true)).not.toContain('trace_id');
});

test('ends are counted by the code of their error, also in a long result, and failures are reported', async () => {
  const { metrics, failed, text } = open();
  const problem = '{"type":"t","status":500,"code":"inference_timeout","detail":"d"}';
  metrics.ended([
    end({ id: 'a', status: 'failed', result: problem }),
    end({
      id: 'b',
      status: 'expired',
      startedAt: null,
      inferenceMs: null,
      result: new LongText([Buffer.from(problem)]),
    }),
    end({ id: 'c', status: 'canceled', result: '{"code":"canceled"}' }),
    end({ id: 'd' }),
  ]);
  expect(failed).toEqual([
    ['a', 'inference_timeout'],
    ['b', 'inference_timeout'],
  ]);
  const written = await text(false);
  for (const labels of [
    'status="failed",code="inference_timeout"',
    'status="canceled",code="canceled"',
    'status="succeeded",code=""',
  ])
    expect(written).toContain(`millrace_ends_total{model="m",version="1",${labels}} 1`);
  expect(written).toContain('millrace_prediction_wait_seconds_count{model="m",version="1",priority="normal"} 3');
});

test('values of labels are escaped, and numbers without an end are written as Prometheus reads them', async () => {
  const { metrics, text } = open();
  metrics.ended([end({ model: 'a"b\\c\nd' })]);
  expect(await text(false)).toContain('model="a\\"b\\\\c\\nd"');
});
