import { expect, test } from 'vitest';
import { QueueGauges } from './queue-gauges.ts';

const never = () => new Promise<never>(() => {});
const counts = async () => ({ entered: { 1: 0, 5: 3, 9: 0 }, left: { 1: 0, 5: 1, 9: 0 } });
const oldest = async () => new Map([['normal', Date.now() - 5_000]] as const);

test('a model whose counts do not arrive is absent, and delays no other model', async () => {
  const models = async () => ['stalled', 'm', 'refused'];
  const live = {
    counts: (model: string) => (model === 'm' ? counts() : model === 'stalled' ? never() : Promise.reject(new Error())),
  };
  const states = await new QueueGauges({ live, oldest, models }).read();
  expect([...states].map(([model, { waiting }]) => [model, waiting])).toEqual([['m', 2]]);
  expect(states.get('m')?.oldestS.get('normal')).toBeGreaterThanOrEqual(5);
});

test('an order that does not arrive delays nothing', async () => {
  const gauges = new QueueGauges({ live: { counts }, oldest: never, models: async () => ['m'] });
  expect((await gauges.read()).size).toBe(0);
});

test('while the registry does not respond, the models of the last scrape are read', async () => {
  let models: () => Promise<readonly string[]> = never;
  const gauges = new QueueGauges({ live: { counts }, oldest, models: () => models() });
  expect((await gauges.read()).size).toBe(0);
  models = async () => ['a', 'b'];
  expect([...(await gauges.read()).keys()].sort()).toEqual(['a', 'b']);
  models = never;
  expect([...(await gauges.read()).keys()].sort()).toEqual(['a', 'b']);
  models = async () => ['b'];
  expect([...(await gauges.read()).keys()]).toEqual(['b']);
});
