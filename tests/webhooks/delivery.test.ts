import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import { publicId } from '@millrace/shared/predictions/public-ids';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HOLD_MS } from '../../apps/worker/src/webhooks/delivery-claims.ts';
import { claimDue } from '../../apps/worker/src/webhooks/due-deliveries.ts';
import { DISABLE_AFTER_MS, MAX_ATTEMPTS, RETRY_DELAYS_MS } from '../../apps/worker/src/webhooks/retry-policy.ts';
import { rawId } from '../support/raw-id.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { useTestDatabase } from '../support/test-database.ts';
import { type Clock, deliveriesOf, insertEndpoint, type Started, startWorkerOn } from './started.ts';

let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver.close());

const webhook = (path: string, events?: string[]) => ({
  webhook: { url: receiver.url + path, ...(events && { events }) },
});
const idFor = (model: string) => newPredictionId(shardOf(model), Date.now());

describe('deliveries', () => {
  const database = useTestDatabase();
  let started: Started;
  beforeAll(async () => {
    // A long timeout, so that no good reply is late on a busy machine: the test counts single sends.
    started = await startWorkerOn(database.url, { env: { WEBHOOK_TIMEOUT_MS: '30000' } });
  });
  afterAll(() => started.close());

  test('of a prediction with its own webhook are signed with the secret of the tenant', async () => {
    const [row] = await started.record({ options: webhook('/200/inline'), metadata: '{"order":17}' });
    const [got] = await receiver.until('/200/inline', 1);
    await started.until(1);
    const { rows } = await started.db.query(`SELECT webhook_secrets FROM tenants WHERE tenant = 'default'`);
    const event = new Webhook(rows[0].webhook_secrets[0].secret).verify(got!.body, got!.headers);
    expect(event).toMatchObject({
      type: 'prediction.succeeded',
      data: {
        id: publicId('pred', row!.id),
        model: 'm',
        status: 'succeeded',
        metadata: { order: 17 },
        url: `https://millrace.example/v1/predictions/${publicId('pred', row!.id)}`,
      },
    });
    const [delivery] = await deliveriesOf(started.db, row!.id);
    expect(delivery).toMatchObject({
      status: 'delivered',
      attempts: 1,
      nextAt: null,
      event: got!.headers['webhook-id'],
    });
    const attempts = await started.db.query('SELECT * FROM webhook_attempts WHERE delivery = $1', [delivery!.id]);
    expect(attempts.rows).toEqual([
      expect.objectContaining({ number: 1, status: 200, error: null, reply: 'replied 200' }),
    ]);
    expect(got!.body.length).toBeLessThan(1_000);
  });

  test('go to the endpoints that chose the event and the model, each with its own secret', async () => {
    const model = 'chosen';
    const [all, failed, other] = await Promise.all([
      insertEndpoint(started.db, { url: `${receiver.url}/200/all`, models: [model] }),
      insertEndpoint(started.db, { url: `${receiver.url}/200/failed`, models: [model], events: ['prediction.failed'] }),
      insertEndpoint(started.db, { url: `${receiver.url}/200/other`, models: ['another'] }),
    ]);
    await started.record(
      { model, id: idFor(model) },
      { model, id: idFor(model), status: 'failed', result: '{"code":"worker_lost"}' },
    );
    const toAll = await receiver.until('/200/all', 2);
    const toFailed = await receiver.until('/200/failed', 1);
    for (const { body, headers } of toAll) new Webhook(all.secret).verify(body, headers);
    expect(new Webhook(failed.secret).verify(toFailed[0]!.body, toFailed[0]!.headers)).toMatchObject({
      type: 'prediction.failed',
      data: { error: { code: 'worker_lost' } },
    });
    expect(() => new Webhook(other.secret).verify(toAll[0]!.body, toAll[0]!.headers)).toThrow();
    expect(receiver.at('/200/other')).toEqual([]);
  });

  test('of events that were not chosen do not exist', async () => {
    const [row] = await started.record({ options: webhook('/200/none', ['prediction.failed']) });
    expect(await deliveriesOf(started.db, row!.id)).toEqual([]);
  });

  test('are sent once by any number of workers, and by another worker when a worker stops', async () => {
    const model = 'crowd';
    const { id } = await insertEndpoint(started.db, { url: `${receiver.url}/200/crowd`, models: [model] });
    const others = [started.another(), started.another()];
    await started.record(...Array.from({ length: 300 }, () => ({ model, id: idFor(model) })));
    await receiver.until('/200/crowd', 150);
    await others[0]!.close();
    const got = await receiver.until('/200/crowd', 300);
    await started.until(300, ({ endpoint }) => endpoint === id);
    expect(new Set(got.map(({ headers }) => headers['webhook-id'])).size).toBe(300);
    expect(receiver.at('/200/crowd')).toHaveLength(300);
  });

  test('without a timer are found by the sweep', async () => {
    const model = 'swept';
    await insertEndpoint(started.db, { url: `${receiver.url}/200/swept`, models: [model] });
    await started.write({ model, id: idFor(model) });
    await receiver.until('/200/swept', 1);
  });

  test('to fast receivers all arrive while other receivers hang, fail, reset, drip and send without end', async () => {
    const count = 100;
    const model = 'mixed';
    const ways = ['hang', 'hang', 'hang', 'hang', '500', 'reset', 'drip', 'huge', 'redirect', 'busy'];
    for (const path of [`/200/${model}`, ...ways.map((way, at) => `/${way}/${model}-${at}`)]) {
      await insertEndpoint(started.db, { url: receiver.url + path, models: [model] });
    }
    const sent: string[] = [];
    for (let i = 0; i < count; i += 10) {
      const rows = await started.record(...Array.from({ length: 10 }, () => ({ model, id: idFor(model) })));
      sent.push(...rows.map(({ id }) => id));
    }
    const got = await receiver.until(`/200/${model}`, count);
    expect(new Set(got.map(({ body }) => rawId(JSON.parse(body).data.id)))).toEqual(new Set(sent));
  });
});

describe('with a test clock', () => {
  const database = useTestDatabase();
  const clock: Clock = { nowMs: Date.now() };
  let started: Started;
  beforeAll(async () => {
    // Only the test's own sweeps: the timers of Redis and of the process use the real time.
    started = await startWorkerOn(database.url, { clock, deps: { sweepMs: 1_000_000 } });
  });
  afterAll(() => started.close());

  /** Advances the clock and attempts overdue deliveries. */
  async function pass(ms: number): Promise<void> {
    clock.nowMs += ms;
    await started.webhooks.sweep();
  }
  const of = (delivery: string) => (attempt: { delivery: string }) => attempt.delivery === delivery;

  test('a failing delivery is attempted ten times by the schedule, under one id', async () => {
    const startedAt = clock.nowMs;
    const [row] = await started.record({ options: webhook('/500/schedule') });
    await pass(1_000);
    const { id, event } = (await deliveriesOf(started.db, row!.id))[0]!;
    for (const [index, delay] of RETRY_DELAYS_MS.entries()) {
      await started.until(index + 1, of(id));
      await pass(delay - 1_000);
      expect(started.settled.filter(of(id))).toHaveLength(index + 1);
      await pass(2_000);
    }
    const attempts = await started.until(MAX_ATTEMPTS, of(id));
    expect(attempts.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(attempts.at(-1)!.at - startedAt).toBeGreaterThan(75 * 3_600_000);
    const got = receiver.at('/500/schedule');
    expect(new Set(got.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([event]));
    expect(new Set(got.map(({ body }) => body)).size).toBe(1);
    expect(new Set(got.map(({ headers }) => headers['webhook-timestamp'])).size).toBe(MAX_ATTEMPTS);
    expect(await deliveriesOf(started.db, row!.id)).toMatchObject([{ status: 'failed', attempts: 10, nextAt: null }]);
  });

  test('Retry-After sets the time of the next attempt', async () => {
    const [row] = await started.record({ options: webhook('/busy/now') });
    await pass(1_000);
    const { id } = (await deliveriesOf(started.db, row!.id))[0]!;
    const [first] = await started.until(1, of(id));
    expect(first).toMatchObject({ replyStatus: 429, status: 'pending' });
    expect(first!.nextAt! - first!.at).toBe(7_000);
  });

  test('a 410 disables the endpoint, writes an event to the feed, and cancels waiting deliveries', async () => {
    const model = 'gone';
    const { id } = await insertEndpoint(started.db, { url: `${receiver.url}/410/gone`, models: [model] });
    const rows = await started.record(...Array.from({ length: 20 }, () => ({ model, id: idFor(model) })));
    await pass(1_000);
    await started.until(1, ({ endpoint }) => endpoint === id);
    await pass(HOLD_MS + 1_000);
    const { rows: endpoints } = await started.db.query('SELECT * FROM webhook_endpoints WHERE id = $1', [id]);
    expect(endpoints[0]).toMatchObject({
      state: 'disabled',
      reason: 'The endpoint returned 410 Gone.',
      reason_code: 'gone',
    });
    await expect
      .poll(async () => (await Promise.all(rows.map((row) => deliveriesOf(started.db, row.id)))).flat())
      .toSatisfy((all: { status: string }[]) =>
        all.every(({ status }) => status === 'canceled' || status === 'failed'),
      );
    const feed = await started.db.query(`SELECT payload FROM events WHERE type = 'webhook_endpoint.disabled'`);
    expect(feed.rows.map(({ payload }) => JSON.parse(payload))).toEqual([
      { id, endpoint_url: `${receiver.url}/410/gone`, reason: 'gone', detail: 'The endpoint returned 410 Gone.' },
    ]);
    // Nothing is sent to the endpoint again, except for attempts in progress.
    expect(receiver.at('/410/gone').length).toBeLessThanOrEqual(4);
    await expect.poll(() => started.webhooks.underWay()).toBe(0);
    const before = receiver.at('/410/gone').length;
    await started.record({ model, id: idFor(model) });
    await pass(1_000);
    expect(receiver.at('/410/gone')).toHaveLength(before);
  });

  test('an endpoint that fails for five days is disabled, and a success restarts the count', async () => {
    const model = 'failing';
    const path = '/500/failing';
    const { id } = await insertEndpoint(started.db, { url: receiver.url + path, models: [model] });
    const endpoint = async () =>
      (await started.db.query('SELECT state, reason, failing_since FROM webhook_endpoints WHERE id = $1', [id]))
        .rows[0];
    const mine = (attempt: { endpoint: string | null }) => attempt.endpoint === id;
    await started.record({ model, id: idFor(model) });
    await pass(1_000);
    await started.until(1, mine);
    expect((await endpoint()).failing_since).toBe(clock.nowMs);
    receiver.script(path, 200);
    await pass(6_000);
    await started.until(2, mine);
    expect((await endpoint()).failing_since).toBeNull();
    await started.record({ model, id: idFor(model) });
    await pass(1_000);
    await started.until(3, mine);
    await pass(DISABLE_AFTER_MS);
    await started.until(4, mine);
    expect(await endpoint()).toMatchObject({ state: 'disabled', reason: 'Every attempt failed for five days.' });
  });

  test('a delivery that a killed worker had claimed is attempted by another worker when the claim has ended', async () => {
    const [row] = await started.write({ options: webhook('/200/killed') });
    const { id } = (await deliveriesOf(started.db, row!.id))[0]!;
    const { rows } = await started.db.query(
      'SELECT webhook_lane(tenant, endpoint, url) AS lane FROM webhook_deliveries WHERE id = $1',
      [id],
    );
    const nowMs = clock.nowMs;
    await claimDue(started.db, { lane: rows[0].lane, limit: 1, nowMs, heldUntil: nowMs + HOLD_MS });
    await pass(1_000);
    expect(receiver.at('/200/killed')).toEqual([]);
    await pass(HOLD_MS + 1_000);
    await started.until(1, of(id));
    expect(receiver.at('/200/killed')).toHaveLength(1);
  });
});
