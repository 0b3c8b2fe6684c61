/** The timeline of a prediction, as a client reads it: from its acceptance to the delivery of its webhook. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startReceiver } from '../support/receiver.ts';
import { holdWorker } from '../support/slow-work.ts';
import { useSmallModels } from '../support/small-models.ts';

const SETTINGS = { WORKER_CONCURRENCY: '1', WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' };
const millrace = useSmallModels(['slow', 'echo'], SETTINGS);
let receiver: Awaited<ReturnType<typeof startReceiver>>;
beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver.close());

const WAIT = { prefer: 'wait=30' };
interface Event {
  at: string;
  type: string;
  attempt: number | null;
  worker_id: string | null;
  rows: number | null;
  shared: boolean | null;
}
const get = async (id: string) => (await millrace.request(`/v1/predictions/${id}`)).body;
const timelineOf = async (id: string): Promise<Event[]> => (await get(id)).timeline;
const typesOf = async (id: string) => (await timelineOf(id)).map(({ type }) => type);
const RUN = ['accepted', 'queued', 'taken', 'batched', 'computed'];
const ms = (event: Event | undefined) => Date.parse(event?.at ?? '');

describe('the timeline', () => {
  test('of a computed prediction has each step, and agrees with the metrics', async () => {
    const { body } = await millrace.predict('echo', { inputs: [{ x: [1, 2] }, { x: [3, 4] }] }, WAIT);
    await expect.poll(() => typesOf(body.id)).toEqual([...RUN, 'recorded']);
    const shown = await get(body.id);
    const [accepted, queued, taken, batched, computed, recorded] = shown.timeline as Event[];
    expect(accepted).toEqual({
      ...{ at: shown.created_at, type: 'accepted', attempt: null, worker_id: null, rows: null, shared: null },
    });
    expect(taken).toMatchObject({ at: shown.started_at, attempt: 1, rows: null, shared: false });
    expect(taken?.worker_id).toMatch(/^[0-9a-f]{16}$/);
    expect(computed).toMatchObject({ at: shown.completed_at, attempt: 1, worker_id: taken?.worker_id });
    expect([batched?.rows, computed?.rows]).toEqual([shown.metrics.run_rows, shown.metrics.run_rows]);
    expect(ms(taken) - ms(accepted)).toBe(shown.metrics.wait_ms);
    expect(ms(computed) - ms(accepted)).toBe(shown.metrics.total_ms);
    expect(shown.trace_id).toBeNull();
    for (const [before, after] of [
      [accepted, queued],
      [queued, taken],
      [taken, batched],
      [batched, computed],
      [computed, recorded],
    ])
      expect(ms(before)).toBeLessThanOrEqual(ms(after));

    // The ledger has the same timeline.
    await millrace.forget(body.id);
    expect((await get(body.id)).timeline).toEqual(shown.timeline);
  });

  test('of a prediction with a cached result has no run', async () => {
    const request = { input: { x: [5, 6] } };
    await millrace.predict('echo', request, WAIT);
    const own = () => millrace.predict('echo', { ...request, metadata: { order: 'A' } }, WAIT);
    await expect.poll(async () => (await own()).body.cache).toBe('hit');
    const { body } = await own();
    await expect.poll(() => typesOf(body.id)).toEqual(['accepted', 'recorded']);
  });

  test('of a follower has the run of its leader, and is marked as shared', async () => {
    const held = await holdWorker(millrace);
    const request = { input: { x: [700_000] } };
    const leader = await millrace.predict('slow', { ...request, metadata: { leads: 'yes' } });
    const follower = await millrace.predict('slow', request);
    await held.release();
    await expect.poll(() => typesOf(follower.body.id)).toEqual([...RUN, 'recorded']);
    const [, , ...of] = await timelineOf(leader.body.id);
    const [, , ...own] = await timelineOf(follower.body.id);
    const names = (events: Event[]) => events.slice(0, 3).map(({ at, type, worker_id }) => ({ at, type, worker_id }));
    expect(names(own)).toEqual(names(of));
    expect([of[0]?.shared, own[0]?.shared]).toEqual([false, true]);
  });

  test('has the deliveries of webhooks', async () => {
    const webhook = { url: `${receiver.url}/200/timeline` };
    const { body } = await millrace.predict('echo', { input: { x: [9, 9] }, webhook }, WAIT);
    await receiver.until('/200/timeline', 1);
    await expect.poll(() => typesOf(body.id)).toEqual([...RUN, 'recorded', 'delivered']);
    await millrace.forget(body.id);
    expect(await typesOf(body.id)).toEqual([...RUN, 'recorded', 'delivered']);
  });

  test('of a canceled prediction that was retried enters the queue again', async () => {
    const held = await holdWorker(millrace);
    const { body } = await millrace.predict('slow', { input: { x: [650_001] } });
    expect(await typesOf(body.id)).toEqual(['accepted', 'queued']);
    const [, first] = await timelineOf(body.id);
    await millrace.request(`/v1/predictions/${body.id}/cancel`, { method: 'POST' });
    await millrace.request(`/v1/predictions/${body.id}/retry`, { method: 'POST' });
    const [, again] = await timelineOf(body.id);
    expect(ms(again)).toBeGreaterThan(ms(first));
    await held.release();
    await expect.poll(() => typesOf(body.id)).toEqual([...RUN, 'recorded']);
  });

  test('keeps the attempt of a killed worker', async () => {
    const { body } = await millrace.predict('slow', { input: { x: [3_000_001] } });
    await expect.poll(() => typesOf(body.id)).toContain('taken');
    await millrace.stopWorkers('kill');
    await millrace.startWorker();
    await expect
      .poll(() => typesOf(body.id))
      .toEqual(['accepted', 'queued', 'taken', 'taken', 'batched', 'computed', 'recorded']);
    const [, , first, second] = await timelineOf(body.id);
    expect([first?.attempt, second?.attempt]).toEqual([1, 2]);
    expect(first?.worker_id).not.toBe(second?.worker_id);
    await millrace.forget(body.id);
    expect((await timelineOf(body.id))[2]).toEqual(first);
  });
});
