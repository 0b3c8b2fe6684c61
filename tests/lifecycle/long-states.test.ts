/** Tests states around the number of bytes that a script reads first: no script loses a part of a longer state. */
import { describe, expect, test } from 'vitest';
import { NOW, useLive } from './live-fixture.ts';
import { useScripts } from './script-fixture.ts';

const f = useLive();
const s = useScripts(f);
/** Bytes of a state that a script reads first, as in lib.lua. */
const PEEK = 131_072;
const long = (characters: number): string => JSON.stringify('x'.repeat(characters - 2));
const lengthOf = (id: string) => f.redis.strlen(f.keys.live(id));

test.each([PEEK - 1, PEEK, PEEK + 1])(
  'a task in a state of %d bytes stays whole through an end and a retry',
  async (bytes) => {
    const first = await f.submit({ task: long(100_000) });
    const task = long(100_000 + bytes - (await lengthOf(first.id)));
    const { id } = await f.submit({ task });
    expect(await lengthOf(id)).toBe(bytes);
    await s.cancel(id);
    const retry = { id, tenant: 'default', job: `p-${id}-1`, opening: 1, expiresAt: null, nowMs: NOW };
    expect(await f.live.retry(retry)).toEqual({ outcome: 'queued' });
    const { attempt, task: taken } = await s.taken(id);
    expect(String(taken) === task).toBe(true);
    await s.finish({ id, attempt }, { status: 'failed', result: '{"code":"x"}' });
    expect(String(await f.live.task(id)) === task).toBe(true);
  },
);

describe('a success', () => {
  const succeeded = async (metadata: string, result: string) => {
    const { id } = await f.submit({ metadata });
    await s.finish(await s.taken(id), { result });
    return id;
  };

  // The bytes of the head and of the fields before the metadata are a part of the beginning.
  test.each([
    ['ends behind', 0],
    ['ends at', 30],
    ['ends shortly before', 90],
    ['ends before', 400],
  ])('whose beginning %s the first read is found by a script', async (_, before) => {
    const probe = await succeeded(long(1_000), '1');
    const state = (await f.redis.get(f.keys.live(probe))) as string;
    const beginning = 87 + Number(state.slice(81, 87));
    const id = await succeeded(long(1_000 + PEEK - beginning - before), long(2_000));
    const bytes = await lengthOf(id);
    expect(bytes).toBeGreaterThan(PEEK);
    expect(await s.cancel(id)).toEqual({ outcome: 'terminal', status: 'succeeded' });
    expect(await lengthOf(id)).toBe(bytes);
  });

  test.each([PEEK - 1, PEEK, PEEK + 1])('of %d bytes is found by a script', async (bytes) => {
    const probe = await succeeded('', long(100_000));
    const id = await succeeded('', long(100_000 + bytes - (await lengthOf(probe))));
    expect(await lengthOf(id)).toBe(bytes);
    expect(await s.cancel(id)).toEqual({ outcome: 'terminal', status: 'succeeded' });
    expect(await lengthOf(id)).toBe(bytes);
  });
});
