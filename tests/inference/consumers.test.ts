import { shardOf } from '@millrace/shared/predictions/ids';
import { createQueues } from '@millrace/shared/queue/queues';
import type { Connection } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Consumer } from '../../apps/worker/src/inference/consumer.ts';
import { Consumers } from '../../apps/worker/src/inference/consumer-pool.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis } from '../support/test-redis.ts';

const names = (count: number) => Array.from({ length: count }, (_, n) => `m${n}`);
const jobOf = (model: string) => [`p-${model}`] as const;

let redis: Connection;
let now = 1_000_000;
let opened: string[] = [];
let closed: string[] = [];
let listening = 0;
const busy = new Set<string>();
const paused = new Set<string>();

function consumers(prefix = testPrefix()): { consumers: Consumers; keys: ReturnType<typeof keysFor> } {
  const keys = keysFor(prefix);
  const open = (model: string): Consumer => {
    opened.push(model);
    const lastMoveAt = now;
    return {
      model,
      lastMoveAt,
      get active() {
        return busy.has(model) ? 1 : 0;
      },
      holds: () => false,
      pause: () => void paused.add(model),
      resume: () => void paused.delete(model),
      close: async () => void closed.push(model),
    };
  };
  const deps = {
    redis,
    keys,
    open,
    listen: () => {
      listening += 1;
    },
    log: pino({ level: 'silent' }),
    now: () => now,
  };
  return { consumers: new Consumers(deps), keys };
}

beforeAll(() => {
  redis = connectTestRedis();
});
afterAll(() => redis.disconnect());
beforeEach(() => {
  opened = [];
  closed = [];
  listening = 0;
  busy.clear();
  paused.clear();
});

describe('consumers', () => {
  test('of 64 models are all open, and none waits for a work signal', async () => {
    const { consumers: some } = consumers();
    some.serve(new Set(names(64)));
    expect(opened).toEqual(names(64));
    expect(listening).toBe(0);
    now += 3_600_000;
    await some.sweep();
    expect(closed).toEqual([]);
    await some.close();
    expect(closed.sort()).toEqual(names(64).sort());
  });

  test('open paused while paused, and all resume together', async () => {
    const { consumers: some } = consumers();
    some.serve(new Set(names(2)));
    some.pause();
    some.serve(new Set(names(3)));
    expect([...paused].sort()).toEqual(names(3));
    some.resume();
    expect(paused.size).toBe(0);
    await some.close();
  });

  test('of more models open when a work signal arrives', async () => {
    const { consumers: some } = consumers();
    some.serve(new Set(names(65)));
    await some.sweep();
    expect([opened, listening]).toEqual([[], 1]);
    some.signalWork('m3');
    some.signalWork('m3');
    some.signalWork('a model of another worker');
    expect(opened).toEqual(['m3']);
    await some.close();
  });

  test('work without a signal is found, whether it waits or was left behind', async () => {
    const { consumers: some, keys } = consumers();
    const queues = createQueues(redis, keys, () => {});
    const model = names(2_000).findLast((name) => shardOf(name) === 3) as string;
    await queues.add({ model, version: '1', ids: [], priority: 5, jobId: jobOf(model)[0] });
    // The job of a killed worker is active and has no lock.
    await redis.lpush(`${keys.bull(shardOf('m7'))}:m7:active`, 'p-left');
    await redis.zadd(`${keys.bull(shardOf('m8'))}:m8:delayed`, 1, 'p-back');
    some.serve(new Set(names(2_000)));
    await some.sweep();
    expect(opened.sort()).toEqual(['m7', 'm8', model].sort());
    await Promise.all([some.close(), queues.close()]);
  });

  test('above 64 idle consumers close after a minute, above 192 at once, and busy consumers stay open', async () => {
    const { consumers: some } = consumers();
    const models = names(300);
    some.serve(new Set(models));
    busy.add('m0');
    for (const model of models.slice(0, 100)) some.signalWork(model);
    now += 59_000;
    await some.sweep();
    expect(closed).toEqual([]);
    now += 1_001;
    await some.sweep();
    expect(closed).toEqual(models.slice(1, 37));
    expect(some.open).toHaveLength(64);
    for (const model of models.slice(100)) some.signalWork(model);
    expect(some.open).toHaveLength(192);
    expect(some.open.map(({ model }) => model)).toContain('m0');
    await some.close();
  });
});
