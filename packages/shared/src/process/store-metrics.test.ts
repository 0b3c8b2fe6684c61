import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { StoreMetrics } from './store-metrics.ts';

const kinds: [string, Error][] = [
  ['timeout', new Error('Command timed out')],
  ['timeout', new Error('The commit of promises took longer than 900 ms')],
  ['timeout', Object.assign(new Error('canceling statement'), { code: '57014' })],
  ['timeout', new Error('timeout exceeded when trying to connect')],
  ['full', new Error('OOM command not allowed when used memory > maxmemory')],
  ['refused', new Error('READONLY You cannot write against a read only replica.')],
  ['unreachable', Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' })],
  ['unreachable', new Error('Connection terminated unexpectedly')],
  ['other', new Error('syntax error')],
];

test.each(kinds)('a failed operation is counted as %s', async (kind, error) => {
  const metrics = new StoreMetrics();
  const registry = new Registry();
  metrics.register(registry);
  await expect(metrics.timed('queue', 'probe', Promise.reject(error))).rejects.toBe(error);
  const text = await registry.metrics();
  expect(text).toContain(`millrace_store_errors_total{store="queue",operation="probe",kind="${kind}"} 1`);
  expect(text).toContain('millrace_store_seconds_count{store="queue",operation="probe"} 1');
});

test('a successful operation is measured, and returns its value', async () => {
  const metrics = new StoreMetrics();
  const registry = new Registry();
  metrics.register(registry);
  expect(await metrics.timed('postgres', 'record', Promise.resolve(7))).toBe(7);
  const text = await registry.metrics();
  expect(text).toContain('millrace_store_seconds_count{store="postgres",operation="record"} 1');
  expect(text).not.toContain('millrace_store_errors_total{');
});
