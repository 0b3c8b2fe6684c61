/** The metrics of a whole system: they agree with the predictions, and name the model, the tenant and the reason. */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { metricOf, samplesOf } from './samples.ts';

let millrace: Millrace;
let folder: Awaited<ReturnType<typeof makeModelFolder>>;

beforeAll(async () => {
  folder = await makeModelFolder(['rows']);
  millrace = await startMillrace({ modelsDir: folder.dir, models: ['rows'], env: { MAX_QUEUE: '3' } });
});
afterAll(async () => {
  await millrace?.close();
  await folder?.remove();
});

const textOf = async (url: string, headers: Record<string, string> = {}) =>
  (await fetch(`${url}/metrics`, { headers })).text();
const ofApi = () => textOf(millrace.url);
const ofWorker = () => textOf(millrace.workers[0]?.url as string);
let used = 0;
const fresh = () => {
  used += 1;
  return { input: { x: [[used, 7]] } };
};

/** promtool is a part of Debian's package prometheus. */
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

describe('the metrics of a system', () => {
  test('the histograms of wait, run and total contain exactly the predictions, with their own times', async () => {
    const sums = { wait: 0, run: 0, total: 0 };
    for (let n = 0; n < 12; n += 1) {
      const { body } = await millrace.predict('rows', fresh(), { prefer: 'wait=30' });
      expect(body.status).toBe('succeeded');
      sums.wait += body.metrics.wait_ms / 1_000;
      sums.run += body.metrics.run_ms / 1_000;
      sums.total += body.metrics.total_ms / 1_000;
    }
    const labels = 'model="rows",version="1",priority="normal"';
    await expect
      .poll(async () => metricOf(await ofWorker(), `millrace_prediction_total_seconds_count{${labels}}`))
      .toBe(12);
    const text = await ofWorker();
    for (const [name, sum] of Object.entries(sums)) {
      expect(metricOf(text, `millrace_prediction_${name}_seconds_count{${labels}}`)).toBe(12);
      expect(metricOf(text, `millrace_prediction_${name}_seconds_sum{${labels}}`)).toBeCloseTo(sum, 4);
    }
    expect(metricOf(text, 'millrace_ends_total{model="rows",version="1",status="succeeded",code=""}')).toBe(12);
    expect(metricOf(text, 'millrace_model_run_seconds_count{model="rows",version="1",outcome="done"}')).toBeGreaterThan(
      0,
    );
    expect(metricOf(text, 'millrace_model_serving{model="rows",version="1"}')).toBe(1);
    expect(metricOf(text, 'millrace_worker_engines')).toBe(1);
    expect(metricOf(text, 'millrace_engine_busy_seconds_total{slot="0"}')).toBeGreaterThan(0);
    expect(metricOf(text, 'millrace_engine_resident_bytes{slot="0",provider="cpu"}')).toBeGreaterThan(1_000_000);
    // The worker writes results to the cache beside their responses.
    await expect
      .poll(async () => metricOf(await ofWorker(), 'millrace_cache_bytes_total{direction="written"}'))
      .toBeGreaterThan(1_000);
    for (const store of ['queue', 'cache', 'postgres'])
      expect(metricOf(text, `millrace_store_seconds_count{store="${store}",operation="probe"}`)).toBeGreaterThan(0);
  });

  test('the API counts responses by model and result, and requests by tenant', async () => {
    const request = fresh();
    await millrace.predict('rows', request, { prefer: 'wait=30' });
    await expect
      .poll(async () => (await millrace.predict('rows', request, { prefer: 'wait=30' })).headers.get('cache-status'))
      .toMatch(/^millrace; hit/);
    await ofApi();
    await millrace.predict('rows', request);
    const text = await ofApi();
    expect(metricOf(text, 'millrace_response_seconds_count{model="rows",result="miss"}')).toBeGreaterThanOrEqual(13);
    const hits = metricOf(text, 'millrace_response_seconds_count{model="rows",result="hit"}');
    expect(hits).toBeGreaterThanOrEqual(2);
    expect(metricOf(text, 'millrace_cache_answers_total{model="rows",result="hit"}')).toBe(hits);
    expect(metricOf(text, 'millrace_tenant_predictions_total{tenant="default",result="hit"}')).toBeGreaterThan(0);
    expect(metricOf(text, 'millrace_model_default{model="rows",version="1"}')).toBe(1);
    expect(metricOf(text, 'millrace_cache_bytes_total{direction="read"}')).toBeGreaterThan(100);
    expect(metricOf(text, 'millrace_recorder_lag_seconds')).toBeGreaterThanOrEqual(0);
    expect(metricOf(text, 'millrace_queue_redis_memory_ratio')).toBeGreaterThanOrEqual(0);
    expect(samplesOf(text, 'millrace_build_info')[0]?.labels).toMatchObject({ process: 'api' });
  });

  test('a model name of a caller is no label', async () => {
    for (const name of ['no-such-model-a', 'no-such-model-b'])
      expect((await millrace.predict(name, fresh())).status).toBe(404);
    const text = await ofApi();
    expect(text).not.toContain('no-such-model');
    expect(
      metricOf(text, 'millrace_errors_total{route="POST /v1/models/:model/predictions",code="model_not_found"}'),
    ).toBe(2);
  });

  test.skipIf(!hasPromtool)('promtool finds no fault in the metrics', async () => {
    for (const text of [await ofApi(), await ofWorker()]) {
      const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
      const ours = `${stdout}${stderr}`.split('\n').filter((line) => line !== '');
      expect([status, ours]).toEqual([0, []]);
    }
  });

  test('a worker writes OpenMetrics for a scrape that demands the format', async () => {
    const accept = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2';
    const response = await fetch(`${millrace.workers[0]?.url}/metrics`, { headers: { accept } });
    expect(response.headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    const text = await response.text();
    expect(text.endsWith('# EOF\n')).toBe(true);
    expect(text).toContain('# TYPE millrace_ends counter\nmillrace_ends_total{');
    expect((await ofWorker()).includes('# TYPE millrace_ends_total counter')).toBe(true);
  });

  test('while no worker runs, the oldest age rises, and refusals have a reason', async () => {
    await millrace.stopWorkers('stop');
    const age = async () => metricOf(await ofApi(), 'millrace_queue_oldest_seconds{model="rows",priority="high"}');
    // A scrape leaves out a value that Redis does not return in time.
    await expect.poll(age).toBe(0);
    await millrace.predict('rows', { ...fresh(), priority: 'high' });
    await expect.poll(age).toBeGreaterThan(0);
    const before = await age();
    await expect.poll(age).toBeGreaterThan(before);
    await expect.poll(async () => metricOf(await ofApi(), 'millrace_queue_waiting{model="rows"}')).toBe(1);
    await expect.poll(async () => (await millrace.predict('rows', fresh())).status).toBe(429);
    const text = await ofApi();
    expect(metricOf(text, 'millrace_refused_total{model="rows",reason="waiting"}')).toBe(1);
  });
});
