import { expect, test } from 'vitest';
import { Statistics } from './statistics.ts';

test('a request that shares a computation that had already started has waited for no time', () => {
  const statistics = new Statistics();
  const names = { tenant: 'default', model: 'm', version: '1' };
  const inferred = { ...names, rows: 1, ok: true, hit: false, totalMs: 20, computeMs: 10, atMs: 1 };
  statistics.record({ ...inferred, queueMs: -15 });
  statistics.record({ ...inferred, queueMs: 4 });
  expect(statistics.of('default', 'm', '1').inference_stats).toMatchObject({
    queue: { count: 2, ns: 4e6 },
    compute_infer: { count: 2, ns: 20e6 },
  });
});
