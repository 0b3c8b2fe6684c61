import { expect, test } from 'vitest';
import { checkAdmission, checkLag, checkPromises, checkWorkers } from './health-checks.ts';

const queue = (waiting: number, oldest: number) => ({ waiting, oldestS: new Map([['normal', oldest]]) });
const worker = (name: string, more = {}) => ({ ageMs: 1_000, draining: false, models: [{ name }], ...more });

test('names a model whose predictions wait and that no running worker serves', async () => {
  const queues = new Map([
    ['served', queue(3, 100)],
    ['stale', queue(3, 100)],
    ['drained', queue(2, 60)],
    ['new', queue(1, 2)],
    ['idle', queue(0, 0)],
  ]);
  const workers = [worker('served'), worker('stale', { ageMs: 60_000 }), worker('drained', { draining: true })];
  await expect(checkWorkers(queues, async () => workers)).rejects.toThrow(
    "Predictions wait for 'stale', 'drained', and no running worker serves the model.",
  );
  const all = ['served', 'stale', 'drained'].map((name) => worker(name));
  await checkWorkers(queues, async () => all);
});

test('without late predictions the workers are not read', async () => {
  const workers = () => Promise.reject(new Error('must not be read'));
  await checkWorkers(new Map([['m', queue(5, 1)]]), workers);
});

test('names refused work, failed promises and a late recorder', () => {
  expect(() => checkAdmission(0.71, 70)).toThrow('New predictions are refused');
  checkAdmission(0.69, 70);
  expect(() => checkPromises('lock timeout')).toThrow('Promises are refused');
  checkPromises(undefined);
  expect(() => checkLag(31_000, 30_000)).toThrow('The oldest end has waited 31 s');
  checkLag(29_000, 30_000);
});
