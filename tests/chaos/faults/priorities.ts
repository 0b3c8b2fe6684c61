/** Urgent work behind many normal predictions. */
import type { Fault } from '../fault.ts';
import { slow } from '../models.ts';

const MS = 8;
/** The goal of the first version: a second, and one run. */
const GOAL_MS = 1_000 + 100;

export const priorityFaults: Fault[] = [
  {
    name: 'high-behind-normal',
    how: '8,000 normal predictions of 8 ms each in front of a high-priority prediction with expires_in 20 (800 in the short form), three times',
    async run({ stage, short, note, expect, goal }) {
      const count = short ? 800 : 8_000;
      const ids: string[] = [];
      for (let at = 0; at < count; at += 100) {
        const replies = await Promise.all(
          Array.from({ length: 100 }, () => stage.client.submit(slow(MS), { mode: 'async' })),
        );
        ids.push(...replies.flatMap(({ entry }) => entry?.id ?? []));
      }
      const took: number[] = [];
      for (let n = 0; n < 3; n += 1) {
        const startedAt = performance.now();
        const body = { priority: 'high', expires_in: 20 };
        const { status, entry } = await stage.client.submit(slow(MS), { body, waitS: 25 });
        took.push(Math.round(performance.now() - startedAt));
        expect(status === 200 && entry?.seen?.status === 'succeeded', `high ended as ${entry?.seen?.status ?? status}`);
      }
      const last = ids.at(-1) ?? '';
      const waits = (await stage.client.fetch(last, 0)) === 'pending';
      note(
        `high succeeded after ${took.join(', ')} ms${waits ? ', while the last normal prediction still waited' : ''}`,
      );
      goal(Math.max(...took) <= GOAL_MS, `high took ${Math.max(...took)} ms`);
      return undefined;
    },
  },
];
