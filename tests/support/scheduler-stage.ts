/** A scheduler for tests over queues in memory. The test ends the attempts. */
import { LaneScheduler, type SchedulerOptions } from '../../apps/worker/src/webhooks/lane-scheduler.ts';

export interface Delivery {
  lane: string;
  number: number;
}

export function setUp(given: Partial<SchedulerOptions<Delivery>> = {}) {
  const due = new Map<string, Delivery[]>();
  const inProgress = new Map<string, { delivery: Delivery; end: (well: boolean) => void }[]>();
  const done: Delivery[] = [];
  let most = 0;
  const running = (lane: string) => inProgress.get(lane)?.length ?? 0;
  const scheduler: LaneScheduler<Delivery> = new LaneScheduler<Delivery>({
    claim: async (lane, limit) => (due.get(lane) ?? []).splice(0, limit),
    perform: (delivery) =>
      new Promise((resolve) => {
        const mine = inProgress.get(delivery.lane) ?? [];
        inProgress.set(delivery.lane, mine);
        const entry = {
          delivery,
          end: (well: boolean) => {
            mine.splice(mine.indexOf(entry), 1);
            done.push(delivery);
            resolve(well);
          },
        };
        mine.push(entry);
        most = Math.max(most, mine.length);
      }),
    held: () => true,
    perLane: 4,
    total: 8,
    slowMs: 1_000,
    stuckMs: 5_000,
    restMs: { least: 50, most: 50 },
    claimMost: 16,
    onError: () => {},
    ...given,
  });
  const add = (lane: string, count: number) => {
    const list = due.get(lane) ?? [];
    due.set(lane, list);
    for (let i = 0; i < count; i++) list.push({ lane, number: i });
    scheduler.wake(lane);
  };
  const endOne = (lane: string, well = true) => inProgress.get(lane)?.[0]?.end(well);
  return { scheduler, due, add, running, endOne, done, most: () => most, lanes: () => [...inProgress.keys()] };
}
