import { expect, test } from 'vitest';
import { Unserved } from './unserved.ts';

const failed = { level: 40, msg: 'version failed', model: 'a', version: '1', reason: 'It is no ONNX file.' };

test('a model is unserved when every version of the model has failed', async () => {
  const unserved = new Unserved(['a/1', 'a/2', 'B/1']);
  unserved.read(failed);
  expect(unserved.includes('a')).toBe(false);
  unserved.read({ level: 50, msg: 'refused: this version is registered', model: 'a', version: '2' });
  expect([unserved.includes('a'), unserved.includes('B')]).toEqual([true, false]);
  unserved.read({ level: 40, msg: 'models folder', path: 'B/1', reason: '"B" cannot be a name' });
  await unserved.all;
  expect(unserved.lines()).toEqual([
    '  a/1: It is no ONNX file.',
    '  a/2: refused: this version is registered',
    '  B/1: "B" cannot be a name',
  ]);
});

test('a version that becomes ready after a failure is served', () => {
  const unserved = new Unserved(['a/1']);
  unserved.read(failed);
  unserved.read({ level: 30, msg: 'version ready', model: 'a', version: '1' });
  expect([unserved.includes('a'), unserved.lines()]).toEqual([false, []]);
});

test('a log line about another version or a job is no reason', () => {
  const unserved = new Unserved(['a/1']);
  unserved.read({ level: 40, msg: 'a job is handed back', model: 'a', job: 'p-1' });
  unserved.read({ level: 40, msg: 'version failed', model: 'b', version: '1', reason: 'broken' });
  expect(unserved.lines()).toEqual([]);
});
