import { expect, test } from 'vitest';
import { afterMicrotasks, endOfTurn } from './turn.ts';

test('a call runs after a chain of microtasks, and before the next phase of the event loop', async () => {
  const order: string[] = [];
  const chain = async (): Promise<void> => {
    for (let n = 0; n < 20; n += 1) await undefined;
    order.push('microtasks');
  };
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      setImmediate(() => {
        order.push('next phase');
        resolve();
      });
      afterMicrotasks(() => void order.push('call'));
      void chain();
    });
  });
  expect(order).toEqual(['microtasks', 'call', 'next phase']);
});

test('the end of a turn follows what the microtasks of the turn have set for the next phase', async () => {
  const order: string[] = [];
  const respond = async (): Promise<void> => {
    for (let n = 0; n < 20; n += 1) await undefined;
    setImmediate(() => void order.push('response'));
  };
  const read = endOfTurn().then(() => void order.push('read'));
  await respond();
  await read;
  expect(order).toEqual(['response', 'read']);
});
