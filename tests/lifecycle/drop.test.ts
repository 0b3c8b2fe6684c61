/** Ends that are deleted because the ledger has another end. */
import { describe, expect, test } from 'vitest';
import { NOW, useLive } from './live-fixture.ts';

const f = useLive();
const cancel = (id: string, nowMs = NOW) => f.live.end(id, { tenant: 'default', status: 'canceled', nowMs });

describe('drop', () => {
  test('deletes an end with its flight, so that the next equal input is computed', async () => {
    const { id } = await f.submit({ flight: 'drop-1' });
    const [taken] = await f.take([id]);
    await f.finish(taken!);
    expect(await f.flightHolder('drop-1')).toBe(id);
    await f.live.drop([{ id, completedAt: NOW }]);
    expect([await f.status(id), await f.flightHolder('drop-1')]).toEqual([undefined, null]);
    expect((await f.submit({ flight: 'drop-1' })).submitted.outcome).toBe('lead');
  });

  test('deletes each end of which it has the time, and keeps the ends of other times', async () => {
    const [first, second, third] = [await f.submit(), await f.submit(), await f.submit()];
    await cancel(first.id);
    await cancel(second.id, NOW + 1);
    await cancel(third.id, NOW + 2);
    await f.live.drop([
      { id: first.id, completedAt: NOW },
      { id: second.id, completedAt: NOW },
      { id: third.id, completedAt: NOW + 2 },
    ]);
    expect([await f.status(first.id), await f.status(second.id), await f.status(third.id)]).toEqual([
      undefined,
      'canceled',
      undefined,
    ]);
  });

  test('keeps the flight of another leader', async () => {
    const old = await f.submit({ flight: 'drop-2' });
    await cancel(old.id);
    const next = await f.submit({ flight: 'drop-2' });
    await f.live.drop([{ id: old.id, completedAt: NOW }]);
    expect([await f.status(old.id), await f.flightHolder('drop-2')]).toEqual([undefined, next.id]);
  });

  test('keeps an open prediction, and a canceled leader that runs for its followers', async () => {
    const open = await f.submit();
    const lead = await f.submit({ flight: 'drop-3' });
    await f.submit({ flight: 'drop-3' });
    await cancel(lead.id);
    await f.live.drop([
      { id: open.id, completedAt: 0 },
      { id: lead.id, completedAt: NOW },
    ]);
    expect([await f.status(open.id), await f.status(lead.id)]).toEqual(['queued', 'canceled']);
    expect(await f.flightHolder('drop-3')).toBe(lead.id);
  });

  test('passes over a state that is gone', async () => {
    const [gone, there] = [await f.submit(), await f.submit()];
    await f.redis.del(f.keys.live(gone.id));
    await cancel(there.id);
    await f.live.drop([gone, there].map(({ id }) => ({ id, completedAt: NOW })));
    expect(await f.status(there.id)).toBeUndefined();
  });
});
