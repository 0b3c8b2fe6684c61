/** The live store with its own prefix, and short functions for the tests. */

import { type Completion, parseCompletion } from '@millrace/shared/live/completion';
import { type Finished, LiveStore, type NewPrediction, type Submitted, type Taken } from '@millrace/shared/live/store';
import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import type { Priority } from '@millrace/shared/predictions/prediction';
import type { Connection } from '@millrace/shared/redis/connection';
import { type Keys, keysFor } from '@millrace/shared/redis/keys';
import { afterAll, beforeAll } from 'vitest';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis, keysOf } from '../support/test-redis.ts';

export const MODEL = 'm';
export const SHARD = shardOf(MODEL);
export const NOW = 1_800_000_000_000;
export const TARGET = { model: MODEL, version: '1', digest: 'd'.repeat(64) };

export interface LiveFixture {
  redis: Connection;
  keys: Keys;
  live: LiveStore;
  /** Submits a prediction, by default at NOW. Returns its id and the outcome. */
  submit(given?: Partial<NewPrediction>, options?: SubmitOptions): Promise<{ id: string; submitted: Submitted }>;
  /** Takes predictions, by default with the jobs of their states. */
  take(
    ids: string[],
    options?: { worker?: string; most?: number; now?: number; jobs?: readonly string[] },
  ): Promise<Taken[]>;
  finish(
    taken: Pick<Taken, 'id' | 'attempt'> & { state?: string },
    given?: Partial<Finished>,
    now?: number,
  ): Promise<'written' | 'cancelled' | 'fenced' | undefined>;
  status(id: string): Promise<string | undefined>;
  /** Writes a job's hash, as BullMQ does. */
  addJob(job: string, fields?: Record<string, string>): Promise<void>;
  beat(worker: string): Promise<unknown>;
  /** Completion events since the last call, as [id, status, attempts]. */
  events(): Promise<[string, string, number][]>;
  /** Ids that were added to the recorder's stream since the last call. */
  ledger(): Promise<string[]>;
  flightHolder(flight: string): Promise<string | null>;
}

export interface SubmitOptions {
  now?: number;
  job?: string;
  priority?: Priority;
}

export const newId = (atMs = NOW): string => newPredictionId(SHARD, atMs);

export function newPrediction(given: Partial<NewPrediction> = {}): NewPrediction {
  return {
    id: newId(),
    createdAt: NOW,
    expiresAt: NOW + 60_000,
    tenant: 'default',
    metadata: '',
    options: '',
    flight: null,
    task: '{"rows":["1"]}',
    attempts: 0,
    opening: 0,
    known: null,
    ...given,
  };
}

/** Connects before the tests of the file, and removes its keys after the tests. */
export function useLive(prefix = testPrefix()): LiveFixture {
  const keys = keysFor(prefix);
  const fixture = { keys } as LiveFixture;
  const seen = { [keys.events(SHARD)]: '-', [keys.ledger(SHARD)]: '-' };
  beforeAll(() => {
    fixture.redis = connectTestRedis();
    fixture.live = new LiveStore(fixture.redis, keys);
  });
  afterAll(async () => {
    const left = await keysOf(fixture.redis, keys.tag(SHARD));
    if (left.length > 0) await fixture.redis.unlink(...left);
    fixture.redis.disconnect();
  });

  async function fieldsSince(stream: string): Promise<[string, string][]> {
    const entries = await fixture.redis.xrange(stream, seen[stream] as string, '+');
    const last = entries.at(-1);
    if (last) seen[stream] = `(${last[0]}`;
    return entries.flatMap(([, fields]) =>
      fields.flatMap((field, at) => (at % 2 === 0 ? [[field, fields[at + 1] as string] as [string, string]] : [])),
    );
  }

  return Object.assign(fixture, {
    async submit(given, { now = NOW, job, priority = 'normal' } = {}) {
      const item = newPrediction(given);
      const { items } = await fixture.live.submit(TARGET, { priority, job: job ?? `p-${item.id}`, nowMs: now }, [item]);
      return { id: item.id, submitted: items[0] as Submitted };
    },
    async take(ids, { worker = 'w1', most = 4, now = NOW, jobs } = {}) {
      const own = await Promise.all(ids.map(async (id) => (await fixture.live.read(id))?.job ?? ''));
      return fixture.live.take(SHARD, ids, { worker, maxAttempts: most, nowMs: now, jobs: jobs ?? own });
    },
    async finish({ id, attempt, state }, given = {}, now = NOW) {
      const run = { startedAt: now, batchedAt: now, inferenceMs: 1, batchSize: 1 };
      const one = { status: 'succeeded', result: '{"y":1}', ...run } as const;
      return (
        await fixture.live.finish(SHARD, [{ id, attempt, state, ...one, ...given }], { worker: 'w1', nowMs: now })
      )[0];
    },
    status: async (id) => (await fixture.live.read(id))?.status,
    async addJob(job, fields = { name: 'predict' }) {
      await fixture.redis.hset(`${keys.bull(SHARD)}:${MODEL}:${job}`, fields);
    },
    beat: (worker) => fixture.redis.set(keys.worker(SHARD, worker), '1'),
    async events() {
      return (await fieldsSince(keys.events(SHARD))).map(([id, value]) => {
        const { status, attempts } = parseCompletion(value) as Completion;
        return [id, status, attempts];
      });
    },
    ledger: async () => (await fieldsSince(keys.ledger(SHARD))).map(([id]) => id),
    flightHolder: (flight) => fixture.redis.get(keys.flight(SHARD, flight)),
  } satisfies Omit<LiveFixture, 'redis' | 'keys' | 'live'>);
}
