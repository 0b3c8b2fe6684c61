import { expect, test } from 'vitest';
import { TenantCounts } from './tenant-counts.ts';

const total = (counts: TenantCounts) => counts.scrape().reduce((sum, { count }) => sum + count, 0);
const labels = (counts: TenantCounts) => new Set(counts.scrape().map(({ tenant }) => tenant));

test('the busiest tenants get labels, and no request is lost', () => {
  const counts = new TenantCounts();
  const request = (tenant: string, times: number) => {
    for (let n = 0; n < times; n += 1) counts.count(tenant, n % 2 === 0 ? 'hit' : 'miss');
  };
  for (let n = 0; n < 200; n += 1) request(`t${n}`, n);
  expect(total(counts)).toBe(19_900);
  for (let n = 0; n < 200; n += 1) request(`t${n}`, n);
  const named = labels(counts);
  expect(named.size).toBe(21);
  expect([named.has('other'), named.has('t199'), named.has('t180'), named.has('t10')]).toEqual([
    true,
    true,
    true,
    false,
  ]);
  expect(total(counts)).toBe(39_800);
  // A quiet tenant becomes the busiest tenant, and gets a label of a tenant that sends nothing.
  request('t10', 50);
  counts.scrape();
  request('t10', 50);
  expect(counts.scrape().filter(({ tenant }) => tenant === 't10')).toEqual([
    { tenant: 't10', result: 'hit', count: 25 },
    { tenant: 't10', result: 'miss', count: 25 },
  ]);
  expect(labels(counts).size).toBeLessThanOrEqual(21);
});

test('the number of tenants in memory has a limit', () => {
  const counts = new TenantCounts();
  for (let n = 0; n < 20_000; n += 1) counts.count(`t${n}`, 'miss');
  expect(total(counts)).toBe(20_000);
});
