/** Traces over processes: an API, an inference worker, and a worker that records and sends webhooks, read by a collector. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { startReceiver } from '../support/receiver.ts';
import { startApiProcess, type WorkerProcess } from '../support/worker-process.ts';
import { type CollectedSpan, type Collector, startCollector } from './collector.ts';

const MODELS = ['slow', 'echo', 'rows'] as const;
let collector: Collector;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let folder: Awaited<ReturnType<typeof makeModelFolder>>;
let api: WorkerProcess;
let otel: Record<string, string>;

const millrace = useMillrace(async () => {
  collector = await startCollector();
  folder = await makeModelFolder(MODELS);
  otel = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_BSP_SCHEDULE_DELAY: '50',
  };
  const roles = { WORKER_ROLES: 'inference', WORKER_CONCURRENCY: '4' };
  const webhooks = { WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' };
  return { modelsDir: folder.dir, models: MODELS, env: { ...roles, ...webhooks, ...otel } };
});
beforeAll(async () => {
  receiver = await startReceiver();
  await millrace.startWorker({ WORKER_ROLES: 'recorder,webhooks' });
  api = await startApiProcess(millrace.env);
});
afterAll(async () => {
  await api?.stop();
  await receiver?.close();
  await collector?.close();
  await folder?.remove();
});

interface Sent {
  body: { id: string; status: string; code?: string; trace_id?: string };
  headers: Headers;
}

/** Sends a prediction to the API process, in a new trace. */
async function predict(model: string, body: object, headers: Record<string, string> = {}, flags = '01') {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  const response = await fetch(`${api.url}/v1/models/${model}/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', traceparent: `00-${traceId}-${spanId}-${flags}`, ...headers },
    body: JSON.stringify(body),
  });
  const sent: Sent = { body: (await response.json()) as Sent['body'], headers: response.headers };
  return { ...sent, traceId, spanId };
}

const WAIT = { prefer: 'wait=30' };
const get = async (id: string) => (await millrace.request(`/v1/predictions/${id}`)).body;
const named = (spans: readonly CollectedSpan[], name: string) => spans.find((span) => span.name === name);
/** Resolves when the trace has all these spans. */
const traceWith = async (traceId: string, ...names: string[]) => {
  await expect.poll(() => collector.traceOf(traceId).map(({ name }) => name)).toEqual(expect.arrayContaining(names));
  return collector.traceOf(traceId);
};

describe('a trace of a client', () => {
  test('goes from its traceparent through three processes to the webhook', async () => {
    const webhook = { url: `${receiver.url}/200/trace` };
    const sent = await predict('echo', { input: { x: [1, 2] }, webhook }, { ...WAIT, tracestate: 'vendor=a1' });
    const ofApi = ['POST /v1/models/:model/predictions', 'cache look-up', 'create echo'];
    const ofWorkers = ['process echo', 'encode', 'run', 'decode', 'settle', 'record', 'webhook POST'];
    const spans = await traceWith(sent.traceId, ...ofApi, ...ofWorkers);
    const server = named(spans, 'POST /v1/models/:model/predictions');
    const create = named(spans, 'create echo');
    const process = named(spans, 'process echo');
    const record = named(spans, 'record');
    const post = named(spans, 'webhook POST');
    expect([server?.kind, server?.parentSpanId, server?.error]).toEqual([2, sent.spanId, false]);
    expect(named(spans, 'cache look-up')?.parentSpanId).toBe(server?.spanId);
    expect([create?.kind, create?.parentSpanId]).toEqual([4, server?.spanId]);
    expect([process?.kind, process?.parentSpanId, process?.links]).toEqual([5, create?.spanId, []]);
    for (const name of ['encode', 'run', 'decode', 'settle'])
      expect(named(spans, name)?.parentSpanId, name).toBe(process?.spanId);
    expect(record?.parentSpanId).toBe(create?.spanId);
    expect([post?.kind, post?.parentSpanId]).toEqual([3, create?.spanId]);
    expect(server?.attributes['http.response.status_code']).toBe(200);
    expect(process?.attributes).toMatchObject({
      'millrace.prediction.id': sent.body.id,
      'millrace.model': 'echo',
      'millrace.version': '1',
      'millrace.attempt': 1,
    });

    // The receiver continues the trace below the span of the attempt.
    const [received] = await receiver.until('/200/trace', 1);
    expect(received?.headers.traceparent).toBe(`00-${sent.traceId}-${post?.spanId}-01`);
    expect(received?.headers.tracestate).toBe('vendor=a1');
    expect(new Set([server, process, record].map((span) => span?.pid)).size).toBe(3);
    expect([server, process, post].map((span) => span?.service)).toEqual([
      'millrace-api',
      'millrace-worker',
      'millrace-worker',
    ]);
    expect((await get(sent.body.id)).trace_id).toBe(sent.traceId);
    await expect.poll(async () => (await get(sent.body.id)).timeline.at(-1).type).toBe('delivered');
    await millrace.forget(sent.body.id);
    expect((await get(sent.body.id)).trace_id).toBe(sent.traceId);
  });

  test('has the commit of a promise', async () => {
    const sent = await predict('echo', { input: { x: [1, 3] } });
    const server = 'POST /v1/models/:model/predictions';
    const spans = await traceWith(sent.traceId, server, 'promise', 'record', 'process echo');
    expect(named(spans, 'promise')?.parentSpanId).toBe(named(spans, server)?.spanId);
  });

  test('of a hit has no span of a worker', async () => {
    const request = { input: { x: [1, 4] } };
    await predict('echo', request, WAIT);
    let hit = await predict('echo', request, WAIT);
    await expect
      .poll(async () => {
        hit = await predict('echo', request, WAIT);
        return hit.headers.get('cache-status');
      })
      .toContain('hit');
    const spans = await traceWith(hit.traceId, 'POST /v1/models/:model/predictions', 'cache look-up');
    expect(spans.map(({ service }) => service)).toEqual(spans.map(() => 'millrace-api'));
    expect(named(spans, 'create echo')).toBeUndefined();
  });

  test('that is not sampled is passed on, and has no spans', async () => {
    const webhook = { url: `${receiver.url}/200/unsampled` };
    const sent = await predict('echo', { input: { x: [1, 5] }, webhook }, WAIT, '00');
    const [received] = await receiver.until('/200/unsampled', 1);
    expect(received?.headers.traceparent).toBe(`00-${sent.traceId}-${sent.spanId}-00`);
    expect((await get(sent.body.id)).trace_id).toBe(sent.traceId);
    expect(collector.traceOf(sent.traceId)).toEqual([]);
  });

  test('with an invalid traceparent begins here', async () => {
    const sent = await predict('echo', { input: { x: [1, 6] } }, { ...WAIT, traceparent: `00-${'0'.repeat(32)}-x-01` });
    const { trace_id: traceId } = await get(sent.body.id);
    expect(traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(traceId).not.toBe(sent.traceId);
    const spans = await traceWith(traceId, 'record', 'POST /v1/models/:model/predictions');
    expect(named(spans, 'POST /v1/models/:model/predictions')?.parentSpanId).toBe('');
  });

  test('is named in a problem', async () => {
    const sent = await predict('none', { input: { x: [1] } });
    expect(sent.body).toMatchObject({ code: 'model_not_found', trace_id: sent.traceId });
    const [server] = await traceWith(sent.traceId, 'POST /v1/models/:model/predictions');
    expect([server?.attributes['http.response.status_code'], server?.error]).toEqual([404, false]);
  });
});

describe('a run of several predictions', () => {
  test('is a trace of its own with a link to each prediction', async () => {
    const runs = () => collector.spans.filter(({ name, links }) => name === 'process rows' && links.length > 0);
    let turn = 0;
    // Both slots of the worker are taken, so that the predictions wait there and share a run.
    const send = async () => {
      turn += 1;
      const held = await Promise.all([1, 2].map((n) => predict('slow', { input: { x: [100_000 + 2 * turn + n] } })));
      await expect
        .poll(async () => (await Promise.all(held.map(({ body }) => get(body.id)))).map(({ status }) => status))
        .not.toContain('queued');
      const sent = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => predict('rows', { input: { x: [[n, turn]] } })));
      for (const { traceId } of sent) await traceWith(traceId, 'record', 'create rows');
      return sent.map(({ traceId }) => traceId);
    };
    const clients: string[] = [];
    while (runs().length === 0) clients.push(...(await send()));
    for (const run of runs()) {
      expect(run.links.length).toBeGreaterThan(1);
      expect(run.parentSpanId).toBe('');
      expect(run.attributes['messaging.batch.message_count']).toBe(run.links.length);
      expect(clients).not.toContain(run.traceId);
      for (const link of run.links) {
        expect(clients).toContain(link.traceId);
        expect(named(collector.traceOf(link.traceId), 'create rows')?.spanId).toBe(link.spanId);
        expect(named(collector.traceOf(link.traceId), 'process rows')).toBeUndefined();
      }
      const parts = collector.traceOf(run.traceId).filter(({ parentSpanId }) => parentSpanId === run.spanId);
      expect(parts.map(({ name }) => name)).toEqual(['encode', 'run', 'decode', 'settle']);
    }
  });
});

describe('an exemplar', () => {
  test('of the metrics leads to a recorded trace', async () => {
    const sent = await predict('echo', { input: { x: [8, 8] } }, WAIT);
    await traceWith(sent.traceId, 'record');
    const headers = { accept: 'application/openmetrics-text; version=1.0.0' };
    const exemplars = async () => {
      const texts = await Promise.all(
        millrace.workers.map(async ({ url }) => (await fetch(`${url}/metrics`, { headers })).text()),
      );
      return texts.flatMap((text) => [...text.matchAll(/# \{trace_id="([0-9a-f]{32})"\}/g)].map(([, id]) => id ?? ''));
    };
    await expect.poll(exemplars).toContain(sent.traceId);
    for (const id of await exemplars()) await expect.poll(() => collector.traceOf(id)).not.toEqual([]);
  });
});

describe('an attempt', () => {
  test('of a killed worker is a span that ended in error, and the next attempt is a span of its own', async () => {
    const sent = await predict('slow', { input: { x: [3_000_001] } });
    await expect.poll(async () => (await get(sent.body.id)).status).toBe('running');
    const [inference] = millrace.workers;
    await inference?.kill();
    await millrace.startWorker({ WORKER_ROLES: 'inference' });
    const attemptsSeen = () => collector.traceOf(sent.traceId).filter(({ name }) => name === 'process slow');
    await expect.poll(() => attemptsSeen().length).toBe(2);
    const attempts = attemptsSeen().sort(
      (a, b) => Number(a.attributes['millrace.attempt']) - Number(b.attributes['millrace.attempt']),
    );
    expect(attempts.map(({ error, attributes }) => [error, attributes['millrace.attempt']])).toEqual([
      [true, 1],
      [false, 2],
    ]);
    expect(attempts[0]?.attributes['error.type']).toBe('worker_lost');
    const { timeline } = await get(sent.body.id);
    const workers = timeline.filter(({ type }: { type: string }) => type === 'taken');
    expect(workers.map(({ worker_id }: { worker_id: string }) => worker_id)).toEqual(
      attempts.map(({ attributes }) => attributes['millrace.worker.id']),
    );
  });
});
