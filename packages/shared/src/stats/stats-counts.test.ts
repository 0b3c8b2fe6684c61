import { expect, test } from 'vitest';
import { ALL, StatsCounts, type StatsRow } from './stats-counts.ts';

const AT = Date.UTC(2026, 0, 31, 12, 34, 56);
const MINUTE = Date.UTC(2026, 0, 31, 12, 34);
const TEN_MINUTES = Date.UTC(2026, 0, 31, 12, 30);
const HOUR = Date.UTC(2026, 0, 31, 12);

const named = (rows: readonly StatsRow[], name: 'hits' | 'succeeded') =>
  rows.map(({ tenant, model, spanS, startAt, counts }) => [tenant, model, spanS, startAt, counts[name]]);

test('a count is in the rows of its minute, ten minutes and hour, of its tenant and all tenants, of its model and all models', async () => {
  const counts = new StatsCounts();
  counts.count({ tenant: 'acme', model: 'm' }, 'hits', AT);
  counts.count({ tenant: 'acme', model: 'm' }, 'hits', AT);
  counts.count({ tenant: 'umbrella', model: 'm' }, 'hits', AT);
  expect(named(await counts.take(), 'hits').sort()).toEqual(
    [
      ['acme', 'm', 2],
      ['acme', ALL, 2],
      ['umbrella', 'm', 1],
      ['umbrella', ALL, 1],
      [ALL, 'm', 3],
      [ALL, ALL, 3],
    ]
      .flatMap(([tenant, model, n]) => [
        [tenant, model, 60, MINUTE, n],
        [tenant, model, 600, TEN_MINUTES, n],
        [tenant, model, 3_600, HOUR, n],
      ])
      .sort(),
  );
  expect(await counts.take()).toEqual([]);
});

test('an end is in the minute of its end, with the durations that the prediction shows', async () => {
  const counts = new StatsCounts();
  const end = { tenant: 't', model: 'm', status: 'succeeded', inferenceMs: 4, completedAt: AT } as const;
  counts.ended({ ...end, createdAt: AT - 90_000, startedAt: AT - 89_999.5 });
  // The clocks of two processes differ: no duration is below zero.
  counts.ended({ ...end, createdAt: AT + 5, startedAt: null, inferenceMs: null });
  const [row] = (await counts.take()).filter(({ tenant, spanS }) => tenant === 't' && spanS === 60);
  expect([row?.startAt, row?.counts.succeeded]).toEqual([MINUTE, 2]);
  expect(row?.times.wait).toEqual([1]);
  expect(row?.times.run).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  expect([row?.times.total[0], row?.times.total.reduce((sum, n) => sum + n, 0)]).toEqual([1, 2]);
});

test('the last state of a queue counts, and the queues of the models are no part of the queue of all models', async () => {
  const counts = new StatsCounts();
  counts.queue('m', { waiting: 7, oldestMs: 100 }, AT);
  counts.queue('m', { waiting: 3, oldestMs: 50 }, AT);
  counts.queue(ALL, { waiting: 4, oldestMs: 60 }, AT);
  counts.count({ tenant: 't', model: 'm' }, 'hits', AT);
  const minutes = (await counts.take()).filter(({ spanS }) => spanS === 60);
  const queues = minutes.map(({ tenant, model, waiting, oldestMs }) => [tenant, model, waiting, oldestMs]);
  expect(queues.sort()).toEqual(
    [
      [ALL, ALL, 4, 60],
      [ALL, 'm', 3, 50],
      ['t', ALL, null, null],
      ['t', 'm', null, null],
    ].sort(),
  );
});

test('the memory is bounded: further series are only in the sum', async () => {
  const counts = new StatsCounts();
  for (let n = 0; n < 6_000; n += 1) counts.count({ tenant: 't', model: `m${n}` }, 'hits', AT);
  const rows = (await counts.take()).filter(({ spanS }) => spanS === 60);
  expect(rows.length).toBeLessThan(4_010);
  expect(rows.find(({ tenant, model }) => tenant === ALL && model === ALL)?.counts.hits).toBe(6_000);
});
