import type { LivePrediction } from '@millrace/shared/live/store';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { EstimateWatch } from './estimate-watch.ts';

const state = (id: string, given: Partial<LivePrediction>): LivePrediction => ({
  ...{ id, model: 'm', version: '1', status: 'queued', result: '', createdAt: 0, startedAt: null, completedAt: null },
  ...{
    expiresAt: null,
    attempts: 0,
    metadata: '',
    inferenceMs: null,
    batchSize: null,
    workerId: null,
    tenant: 'default',
    priority: 5,
  },
  ...{
    options: '',
    leader: null,
    number: 1,
    job: 'j',
    digest: '',
    shared: false,
    runsForFollowers: false,
    opening: 0,
    task: '',
  },
  ...given,
});

function watch() {
  const states = new Map<string, LivePrediction>();
  const registry = new Registry();
  const runs: [string, number][] = [];
  const reads: string[] = [];
  const estimates = new EstimateWatch({
    read: async (id) => {
      reads.push(id);
      return states.get(id) ?? null;
    },
    onRun: (model, ms) => void runs.push([model, ms]),
    registry,
  });
  const promise = (id: string, estimatedCompletionAt: number, model = 'm') =>
    estimates.promised({
      id,
      model,
      priority: 'high',
      queue: { position: 1, estimatedStartAt: 0, estimatedCompletionAt },
    });
  const errors = async () => {
    const text = await registry.metrics();
    const of = (end: string) => Number(new RegExp(`${end}\\{[^}]*\\} (.+)`).exec(text)?.[1] ?? 0);
    return { count: of('_count'), sum: of('_sum') };
  };
  return { estimates, states, runs, reads, promise, errors };
}

test('the error is the actual end minus the estimated end, read when the end is due', async () => {
  const { estimates, states, runs, reads, promise, errors } = watch();
  promise('late', 10_000);
  promise('later', Date.now() + 3_600_000);
  states.set('late', state('late', { status: 'succeeded', startedAt: 12_000, completedAt: 12_500 }));
  await estimates.round();
  expect(reads).toEqual(['late']);
  expect(await errors()).toEqual({ count: 1, sum: 2.5 });
  expect(runs).toEqual([['m', 500]]);
  estimates.close();
});

test('canceled and forgotten predictions are not measured, and a prediction that has not ended is read again', async () => {
  const { estimates, states, promise, errors } = watch();
  promise('canceled', 1);
  promise('gone', 1);
  promise('waits', Date.now() - 10);
  states.set('canceled', state('canceled', { status: 'canceled', completedAt: 5 }));
  states.set('waits', state('waits', {}));
  await estimates.round();
  expect((await errors()).count).toBe(0);
  states.set('waits', state('waits', { status: 'failed', startedAt: 1, completedAt: Date.now() }));
  await expect.poll(async () => (await errors()).count).toBe(1);
  estimates.close();
});

test('few predictions of one model and priority are followed at once, so that others are followed too', async () => {
  const { estimates, reads, promise } = watch();
  for (let n = 0; n < 1_000; n += 1) promise(`a${n}`, 1, 'a');
  promise('b', 1, 'b');
  await estimates.round();
  expect(reads).toEqual(['a0', 'a1', 'a2', 'a3', 'b']);
  estimates.close();
});
