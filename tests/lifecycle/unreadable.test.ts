import { parseCompletion } from '@millrace/shared/live/completion';
import { readStateText } from '@millrace/shared/live/state';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MODEL, NOW, newId, SHARD, useLive } from './live-fixture.ts';

const f = useLive();

const key = (id: string) => f.keys.live(id);
const textOf = async (id: string) => (await f.redis.get(key(id))) as string;
const discarded = () => f.live.takeDiscarded(SHARD);

/** Forms of an unreadable state. */
const DAMAGES: [string, (id: string) => Promise<unknown>][] = [
  [
    'is a hash of a version before 0.1.0',
    async (id) => {
      await f.redis.del(key(id));
      await f.redis.hset(key(id), { s: 'queued', a: '0', m: MODEL, p: '5', t: String(NOW) });
    },
  ],
  ['is cut within its head', async (id) => f.redis.set(key(id), (await textOf(id)).slice(0, 40))],
  ['is cut within its names', async (id) => f.redis.set(key(id), (await textOf(id)).slice(0, 110))],
  ['has letters for numbers', async (id) => f.redis.set(key(id), (await textOf(id)).replace(/\d{5}/g, 'xxxxx'))],
  ['is other text', async (id) => f.redis.set(key(id), 'unreadable text')],
];

describe.each(DAMAGES)('a state that %s', (_, damage) => {
  test.each([
    ['take', async (id: string) => expect(await f.take([id])).toEqual([])],
    ['finish', async (id: string) => expect(await f.finish({ id, attempt: 1 })).toBe('fenced')],
    [
      'cancel',
      async (id: string) =>
        expect(await f.live.end(id, { tenant: 'default', status: 'canceled', nowMs: NOW })).toEqual({
          outcome: 'gone',
        }),
    ],
    ['read', async (id: string) => expect(await f.live.read(id)).toBeNull()],
  ])('is absent to %s, discarded and counted', async (_name, operation) => {
    await discarded();
    const { id } = await f.submit();
    await damage(id);
    await operation(id);
    expect([await f.redis.exists(key(id)), await discarded(), await discarded()]).toEqual([0, 1, 0]);
  });

  test('does not block others: predictions beside it are taken, and an equal input is computed again', async () => {
    const flight = newId();
    const bad = await f.submit({ flight });
    const good = await f.submit();
    await damage(bad.id);
    expect((await f.take([bad.id, good.id])).map(({ id }) => id)).toEqual([good.id]);
    const again = await f.submit({ flight });
    expect(again.submitted.outcome).toBe('lead');
    await damage(again.id);
    const third = await f.submit({ flight });
    expect(third.submitted.outcome).toBe('lead');
    expect(await f.flightHolder(flight)).toBe(third.id);
  });

  test('can be submitted again, as the reconciler does', async () => {
    const { id } = await f.submit();
    await damage(id);
    expect((await f.submit({ id })).submitted.outcome).toBe('lead');
    expect((await f.take([id])).map((taken) => taken.id)).toEqual([id]);
  });
});

test('a flight that is not text is replaced', async () => {
  const name = f.keys.flight(SHARD, 'odd-flight');
  await f.redis.sadd(name, 'x');
  const { id, submitted } = await f.submit({ flight: 'odd-flight' });
  expect([submitted.outcome, await f.redis.get(name)]).toEqual(['lead', id]);
});

test('a state with an unreadable task is discarded only by the attempt that found the damage', async () => {
  const { id } = await f.submit();
  const [taken] = await f.take([id]);
  await f.live.discard(id, (taken?.attempt ?? 0) + 1);
  expect(await f.status(id)).toBe('running');
  await f.live.discard(id, taken?.attempt);
  expect(await f.status(id)).toBeUndefined();
});

test('a success that is cut within its result is discarded', async () => {
  const { id } = await f.submit();
  const [taken] = await f.take([id]);
  await f.finish(taken!, { result: '"a result"' });
  await f.redis.set(key(id), (await textOf(id)).slice(0, -4));
  await discarded();
  expect(await f.finish(taken!)).toBe('fenced');
  expect([await f.redis.exists(key(id)), await discarded()]).toEqual([0, 1]);
});

test('an unreadable state of the present format is discarded', async () => {
  const { id } = await f.submit();
  await f.redis.set(key(id), 'unreadable text');
  await f.redis.set(f.keys.format(SHARD), '1');
  try {
    expect([await f.take([id]), await f.redis.exists(key(id))]).toEqual([[], 0]);
  } finally {
    await f.redis.del(f.keys.format(SHARD));
  }
});

test('a state of a newer format is left alone', async () => {
  const { id } = await f.submit();
  await f.redis.set(key(id), 'a state of tomorrow');
  await f.redis.set(f.keys.format(SHARD), '2');
  try {
    expect([await f.take([id]), await f.live.read(id)]).toEqual([[], null]);
    expect(await f.redis.get(key(id))).toBe('a state of tomorrow');
  } finally {
    await f.redis.del(f.keys.format(SHARD));
  }
});

test('every shortened state is either unreadable or complete except for its task', async () => {
  const { id } = await f.submit({ metadata: '{"größe":1}', options: '{}' });
  const state = await textOf(id);
  for (let length = 0; length < state.length; length += 1) {
    const read = readStateText(id, state.slice(0, length));
    if (read) expect({ ...read, task: '' }).toEqual({ ...readStateText(id, state), task: '' });
  }
});

test('an event that is not a state has no result', () => {
  for (const value of ['succeeded|1||1800000000000|1|1|+{"y":1}', '', '+{"y":1}'])
    expect(parseCompletion(value)).toBeNull();
  fc.assert(fc.property(fc.string(), (value) => parseCompletion(value) === null));
});
