/** Tests the event and the recorder's entry of each end: which parts of the state they have, and how ends share entries of the streams. */
import { LONG } from '@millrace/shared/live/ended-state';
import { readStateText } from '@millrace/shared/live/state';
import { describe, expect, test } from 'vitest';
import { NOW, SHARD, useLive } from './live-fixture.ts';
import { RECORDED_MS, useScripts } from './script-fixture.ts';

const f = useLive();
const s = useScripts(f);
/** A state up to this size is whole in its event. */
const INLINE_BYTES = 4_096;
const METADATA = '{"note":"of the caller"}';
const OPTIONS = '{"rows":2}';
const text = (characters: number): string => JSON.stringify('x'.repeat(characters - 2));

/** Ends a prediction, and returns its state with the values of the event and of the recorder's entry. */
async function reported(given: { metadata?: string; result?: string; status?: 'failed' }) {
  const { metadata = METADATA, ...end } = given;
  const { id } = await f.submit({ metadata, options: OPTIONS });
  const { attempt } = await s.taken(id);
  expect(await s.finish({ id, attempt }, end)).toBe(1);
  const [event, entry] = await Promise.all([keysLast(f.keys.events(SHARD)), keysLast(f.keys.ledger(SHARD))]);
  expect([event[0], entry[0]]).toEqual([id, id]);
  const short = readStateText(id, event[1] as string);
  return { state: (await f.redis.get(f.keys.live(id))) as string, event: event[1], entry: entry[1], short, id };
}

async function keysLast(stream: string): Promise<string[]> {
  const [entry] = await f.redis.xrevrange(stream, '+', '-', 'COUNT', 1);
  return entry?.[1].slice(-2) ?? [];
}

async function isKeptAsRecorded(id: string): Promise<boolean> {
  return (await s.lifetime(id)) <= RECORDED_MS;
}

/** Metadata with which the state of a success has this number of bytes. */
async function metadataFor(bytes: number): Promise<string> {
  const { state } = await reported({ metadata: text(1_000) });
  return text(1_000 + bytes - state.length);
}

describe('the event and the entry', () => {
  test('of a small success have the whole state', async () => {
    const { id, state, event, entry } = await reported({ metadata: await metadataFor(INLINE_BYTES) });
    expect(state.length).toBe(INLINE_BYTES);
    expect([event === state, entry === state, await isKeptAsRecorded(id)]).toEqual([true, true, true]);
  });

  test('of a success with one byte more have neither its metadata nor its state', async () => {
    const { id, state, entry, short } = await reported({ metadata: await metadataFor(INLINE_BYTES + 1) });
    expect(state.length).toBe(INLINE_BYTES + 1);
    expect(short).toMatchObject({ status: 'succeeded', metadata: '', options: '', result: '{"y":1}' });
    expect([entry, await isKeptAsRecorded(id)]).toEqual(['', false]);
  });

  test.each([
    [INLINE_BYTES, false],
    [INLINE_BYTES + 1, true],
  ])('of a success with a result of %d bytes have a mark instead of the result: %s', async (bytes, isMarked) => {
    const result = text(bytes);
    const { id, entry, short } = await reported({ result });
    expect(short).toMatchObject({ status: 'succeeded', result: isMarked ? LONG : result });
    expect([entry, await isKeptAsRecorded(id)]).toEqual(['', false]);
    expect(await f.live.read(id)).toMatchObject({
      result,
      metadata: METADATA,
      options: expect.stringContaining('"rows":2'),
    });
  });

  test('of a failure have its error, and no part that a retry needs', async () => {
    const { id, entry, short } = await reported({ status: 'failed', result: '{"code":"x"}' });
    expect(short).toMatchObject({ status: 'failed', metadata: '', options: '', task: '', result: '{"code":"x"}' });
    expect([entry, await isKeptAsRecorded(id)]).toEqual(['', false]);
    expect(await f.live.readWhole(id)).toMatchObject({ metadata: METADATA, task: '{"rows":["1"]}' });
  });
});

describe('ends of one script', () => {
  /** Ends as many predictions at once, and returns the number of ends in each new entry of the stream of events. */
  async function entriesOf(count: number, given: (bytes: number) => Promise<string>) {
    const metadata = await given(INLINE_BYTES);
    const ones = [];
    for (let n = 0; n < count; n += 1) ones.push((await f.submit({ metadata, options: OPTIONS })).id);
    const taken = await f.take(ones);
    const run = { startedAt: NOW, batchedAt: NOW, inferenceMs: 1, batchSize: 1 };
    const last = await f.redis.xrevrange(f.keys.events(SHARD), '+', '-', 'COUNT', 1);
    const items = taken.map(
      ({ id, attempt }) => ({ id, attempt, status: 'succeeded', result: '{"y":1}', ...run }) as const,
    );
    await f.live.finish(SHARD, items, { worker: 'w1', nowMs: NOW });
    const entries = await f.redis.xrange(f.keys.events(SHARD), `(${last[0]?.[0]}`, '+');
    return entries.map(([, fields]) => fields.length / 2);
  }

  test('are in one entry of the stream for each 200 ends', async () => {
    expect(await entriesOf(401, async () => '')).toEqual([200, 200, 1]);
  });

  test('are in one entry of the stream for each 64 KiB of states', async () => {
    expect(await entriesOf(33, metadataFor)).toEqual([16, 16, 1]);
  });
});
