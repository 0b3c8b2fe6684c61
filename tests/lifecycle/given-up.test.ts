/** Tests executions that a worker gives up, because the slot or the row of the ledger with the task cannot be read. */
import { UNREADABLE_TASK } from '@millrace/shared/live/end-errors';
import { ledgerTask } from '@millrace/shared/predictions/ledger-task';
import { describe, expect, test } from 'vitest';
import { NOW, SHARD, useLive } from './live-fixture.ts';

const f = useLive();
const NAMED = ledgerTask(100_000);
let flights = 0;

const end = (id: string) => f.live.end(id, { tenant: 'default', status: 'canceled', nowMs: NOW });
const row = (id: string) => ({ id, model: 'm', opening: 0, supersededAt: null, expiresAt: NOW + 60_000 });
const adopt = async (id: string) => (await f.live.adopt(row(id), { job: `p-${id}-1`, nowMs: NOW })).outcome;
const takeOne = async (id: string) => (await f.take([id]))[0]!;
const fail = (id: string, attempt: number) => f.live.failAlone(id, { attempt, error: UNREADABLE_TASK, nowMs: NOW });
const discarded = () => f.live.takeDiscarded(SHARD);

/** A prediction that leads a flight, and its follower; both have their tasks in the ledger. */
async function ledAndFollower() {
  flights += 1;
  const flight = `given-up-${flights}`;
  const { id } = await f.submit({ flight, task: NAMED });
  const second = await f.submit({ flight, task: NAMED });
  expect(second.submitted.outcome).toBe('follow');
  return { flight, id, follower: second.id };
}

describe('the state of an execution that is given up', () => {
  test('stays when the prediction was canceled during the execution', async () => {
    const { id } = await f.submit();
    const { attempt } = await takeOne(id);
    await end(id);
    await f.live.discard(id, attempt);
    await fail(id, attempt);
    expect([await f.status(id), await discarded()]).toEqual(['canceled', 0]);
  });

  test('stays in the queue when the prediction was canceled and retried during the execution', async () => {
    const { id } = await f.submit();
    const { attempt } = await takeOne(id);
    await end(id);
    const retry = { id, tenant: 'default', job: `p-${id}-1`, opening: 1, expiresAt: null, nowMs: NOW };
    expect((await f.live.retry(retry)).outcome).toBe('queued');
    await f.live.discard(id, attempt);
    await fail(id, attempt);
    expect([await f.status(id), await discarded()]).toEqual(['queued', 0]);
  });

  test('of a canceled leader expires, and its followers get jobs', async () => {
    const { id, follower } = await ledAndFollower();
    const { attempt } = await takeOne(id);
    await end(id);
    expect(await f.redis.pttl(f.keys.live(id))).toBe(-1);
    await f.live.discard(id, attempt);
    expect([await f.status(id), await f.status(follower)]).toEqual(['canceled', 'running']);
    expect(await f.redis.pttl(f.keys.live(id))).toBeGreaterThan(0);
    expect([await adopt(id), await adopt(follower)]).toEqual(['terminal', 'adopted']);
    expect((await f.take([follower])).map((taken) => taken.id)).toEqual([follower]);
  });
});

describe('a prediction whose task no store has', () => {
  test('fails alone, and its followers get jobs', async () => {
    const { flight, id, follower } = await ledAndFollower();
    const { attempt } = await takeOne(id);
    await f.events();
    await f.ledger();
    await fail(id, attempt);
    expect((await f.live.read(id))?.result).toBe(UNREADABLE_TASK);
    expect([await f.events(), await f.ledger()]).toEqual([[[id, 'failed', 1]], [id]]);
    expect([await f.flightHolder(flight), await f.status(follower)]).toEqual([null, 'running']);
    expect([await adopt(follower), await discarded()]).toEqual(['adopted', 0]);
    expect((await f.take([follower])).map((taken) => taken.id)).toEqual([follower]);
  });

  test('does not fail when a later attempt runs', async () => {
    const { id } = await f.submit();
    const { attempt } = await takeOne(id);
    await fail(id, attempt + 1);
    expect(await f.status(id)).toBe('running');
  });
});

test.each([
  ['its task in Redis leads beside a leader with its task in the ledger', NAMED, '{"rows":["1"]}', 'lead'],
  ['its task in the ledger follows a leader with its task in the ledger', NAMED, NAMED, 'follow'],
  ['its task in the ledger follows a leader with its task in Redis', '{"rows":["1"]}', NAMED, 'follow'],
])('a prediction with %s', async (_, first, second, outcome) => {
  flights += 1;
  const flight = `given-up-${flights}`;
  await f.submit({ flight, task: first });
  const { id, submitted } = await f.submit({ flight, task: second });
  expect(submitted.outcome).toBe(outcome);
  // Further requests follow the prediction that needs no ledger.
  if (outcome === 'lead') expect(await f.flightHolder(flight)).toBe(id);
});
