import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Pause } from './pause.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** A pause of at most 10 ms, and the names of the callers whose pause has ended. */
function paused() {
  const pause = new Pause(10);
  const ended: string[] = [];
  const start = (name: string) => void pause.start().then(() => void ended.push(name));
  return { pause, ended, start };
}

test('a pause ends after its time for all its callers', async () => {
  const { ended, start } = paused();
  start('a');
  await vi.advanceTimersByTimeAsync(9);
  start('b');
  expect(ended).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(ended).toEqual(['a', 'b']);
  start('c');
  await vi.advanceTimersByTimeAsync(9);
  expect(ended).toEqual(['a', 'b']);
  await vi.advanceTimersByTimeAsync(1);
  expect(ended).toEqual(['a', 'b', 'c']);
});

test('an end ends the pause at once, and the time of the next pause begins with its start', async () => {
  const { pause, ended, start } = paused();
  start('a');
  await vi.advanceTimersByTimeAsync(5);
  pause.end();
  await vi.advanceTimersByTimeAsync(0);
  expect(ended).toEqual(['a']);
  start('b');
  await vi.advanceTimersByTimeAsync(9);
  expect(ended).toEqual(['a']);
  await vi.advanceTimersByTimeAsync(1);
  expect(ended).toEqual(['a', 'b']);
});

test('an end after the turn follows what the turn has set for the next phase', async () => {
  const { pause, ended, start } = paused();
  const phase = () => new Promise(setImmediate);
  pause.endAfterTurn();
  start('a');
  await phase();
  await phase();
  expect(ended).toEqual([]);
  pause.endAfterTurn();
  pause.endAfterTurn();
  let before: string[] | undefined;
  setImmediate(() => {
    before = [...ended];
  });
  await phase();
  await phase();
  expect([before, ended]).toEqual([[], ['a']]);
  start('b');
  pause.endAfterTurn();
  await phase();
  await phase();
  expect(ended).toEqual(['a', 'b']);
});
