/** A dispatcher whose runs the test ends, and whose clock the test moves. */
import { type Added, Dispatcher } from '../../apps/worker/src/inference/dispatcher.ts';
import { Pace } from '../../apps/worker/src/inference/pace.ts';

export const [HIGH, NORMAL, LOW] = [1, 5, 9];
export const priorities = [HIGH, NORMAL, LOW];
export const turn = () => new Promise(setImmediate);

interface Started {
  key: string;
  items: number[];
  priority: number;
  store: () => void;
  end: () => void;
}

export function stage({ slots = 1, maxBatch = 4 } = {}) {
  const clock = { ms: 0 };
  const runs: Started[] = [];
  const dispatcher = new Dispatcher<number>({ slots: () => slots, priorities, now: () => clock.ms });
  const paces = new Map<string, Pace>();
  const paceOf = (key: string) => paces.get(key) ?? (paces.set(key, new Pace()).get(key) as Pace);
  const add = (key: string, items: number[], more: Partial<Added<number>> = {}) =>
    dispatcher.add({
      key,
      items,
      priority: NORMAL,
      addedAt: 0,
      maxBatch,
      pace: paceOf(key),
      callMs: () => 0,
      run: ({ items: some, priority, onStoring }) =>
        new Promise<number>((resolve) => {
          runs.push({ key, items: some, priority, store: onStoring, end: () => resolve(some.length) });
        }),
      ...more,
    });
  const endAll = async (msEach = 0): Promise<void> => {
    for (let at = 0; at < runs.length; at += 1) {
      clock.ms += msEach;
      runs[at]?.end();
      await turn();
    }
  };
  const order = () => runs.map(({ key, items }) => [key, items]);
  return { dispatcher, add, runs, clock, paceOf, endAll, order };
}
