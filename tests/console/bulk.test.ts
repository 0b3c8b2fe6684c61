/** Actions on all items of a filter: each dialog states its count first, and the server has changed exactly these items after the end. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { expectAccessible, hasChromium, useBrowser } from './browser.ts';
import { WEBHOOK_ENV } from './operator-system.ts';

const MODEL = 'drug-interaction-similarity';
/** `MANY=10000` is the most that the dialog counts. Each test then takes minutes, and less than the five minutes after which a run ends. */
const MANY = Number(process.env.MANY ?? 240);
const OTHERS = 3;
const AT_ONCE = 40;
const UNTIL = { timeout: 120_000 + MANY * 10, interval: 200 };
const millrace = useMillrace({ models: [MODEL], env: { ...WEBHOOK_ENV, MAX_QUEUE: String(MANY + 1_000) } });

let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
  // The predictions wait, and are in the ledger.
  await millrace.stopWorkers('stop');
  await millrace.startWorker({ WORKER_ROLES: 'recorder' });
});
afterAll(() => receiver?.close());

/** Unlike `millrace.predict`, does not compare each response with the OpenAPI document. */
async function post(body: unknown, headers: Record<string, string>): Promise<Response> {
  const response = await fetch(`${millrace.url}/v1/models/${MODEL}/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  await response.arrayBuffer();
  return response;
}

let inputs = 0;
async function submit(count: number, order: string): Promise<void> {
  const one = async () => {
    inputs += 1;
    const input = { similarities: [[0.1, 0.2, 0.3, 0.4, inputs / 100_000]] };
    const headers = { prefer: 'respond-async', 'idempotency-key': `"${order}-${inputs}"` };
    // On a busy machine a store can be late. A repetition with the key creates no second prediction.
    await expect.poll(async () => (await post({ input, metadata: { order } }, headers)).status, UNTIL).toBe(202);
  };
  for (let left = count; left > 0; left -= AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, left) }, one));
}

async function statuses(order: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let path = `/v1/predictions?metadata.order=${order}&limit=100`; path !== ''; ) {
    const response = await fetch(millrace.url + path);
    const { data } = (await response.json()) as { data: { status: string }[] };
    for (const { status } of data) counts[status] = (counts[status] ?? 0) + 1;
    path = /^<([^>]+)>/.exec(response.headers.get('link') ?? '')?.[1] ?? '';
  }
  return counts;
}

const many = MANY.toLocaleString('en-US');

/** Runs the action of the open dialog, whose button repeats the verb and the count. */
async function confirm(page: Page, words: string): Promise<void> {
  await page.getByRole('heading', { name: `${words}?` }).waitFor({ timeout: 60_000 });
  await page.getByRole('button', { name: words, exact: true }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached', timeout: UNTIL.timeout });
}

describe.skipIf(!hasChromium)('an action by filter', () => {
  const browser = useBrowser();

  /** Of each action on many predictions. */
  const LONG = { timeout: 120_000 + MANY * 30 };

  test(`cancels ${MANY} predictions`, LONG, async () => {
    await submit(MANY, 'one');
    await submit(OTHERS, 'other');
    const { page, faults } = await browser.open(`${millrace.url}/console/predictions?metadata.order=one`);
    await page.getByRole('button', { name: 'Cancel predictions…' }).click();
    await page.getByText(`${many} queued`).waitFor({ timeout: 60_000 });
    await expectAccessible(page, 'the dialog of an action');
    // The safe choice changes nothing.
    await page.getByRole('button', { name: 'Keep running' }).click();
    expect(await statuses('one')).toEqual({ queued: MANY });
    await page.getByRole('button', { name: 'Cancel predictions…' }).click();
    await confirm(page, `Cancel ${many} predictions`);
    await expect.poll(() => statuses('one'), UNTIL).toEqual({ canceled: MANY });
    expect(await statuses('other')).toEqual({ queued: OTHERS });
    expect(faults).toEqual([]);
  });

  test(`runs ${MANY} predictions again`, LONG, async () => {
    const { page, faults } = await browser.open(`${millrace.url}/console/predictions?metadata.order=one`);
    // By keyboard. A canceled prediction runs again only if the filter names the status.
    await page.getByLabel('Status:').selectOption('canceled');
    await expect.poll(() => page.url()).toContain('status=canceled');
    await page.locator('body').press('r');
    await confirm(page, `Retry ${many} predictions`);
    expect(await statuses('one')).toEqual({ queued: MANY });
    expect(faults).toEqual([]);
  });

  test(`has the outputs of ${MANY} predictions that ran again`, LONG, async () => {
    await millrace.startWorker();
    // A read of the whole list takes longer than many predictions.
    const open = `${millrace.url}/v1/predictions?metadata.order=one&status=queued,running&limit=1`;
    await expect.poll(async () => (await fetch(open)).json(), UNTIL).toMatchObject({ data: [], next: null });
    expect(await statuses('one')).toEqual({ succeeded: MANY });
  });

  test('changes only the selected predictions, and offers no action that changes none', async () => {
    await millrace.stopWorkers('stop');
    await millrace.startWorker({ WORKER_ROLES: 'recorder' });
    await submit(4, 'selected');
    await expect.poll(() => statuses('selected'), UNTIL).toEqual({ queued: 4 });
    const { page, faults } = await browser.open(`${millrace.url}/console/predictions?metadata.order=selected`);
    await page.getByRole('table', { name: 'Predictions' }).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('x');
    await page.keyboard.press('j');
    await page.keyboard.press('x');
    await page.getByRole('button', { name: 'Cancel selected…' }).click();
    await confirm(page, 'Cancel 2 predictions');
    await expect.poll(() => statuses('selected'), UNTIL).toEqual({ canceled: 2, queued: 2 });
    await page.goto(`${millrace.url}/console/predictions?status=succeeded`);
    await expect.poll(() => page.getByRole('button', { name: 'Retry predictions…' }).isDisabled()).toBe(true);
    await page.goto(`${millrace.url}/console/predictions?metadata.order=nothing`);
    await page.getByRole('button', { name: 'Retry predictions…' }).click();
    await page.getByRole('heading', { name: 'No prediction to retry' }).waitFor();
    expect(faults).toEqual([]);
  });

  test('redelivers the canceled events of a time to one endpoint', { timeout: 180_000 }, async () => {
    const register = async (name: string) =>
      (await millrace.request('/v1/webhook-endpoints', { body: { url: `${receiver.url}/200/${name}` } })).body.id;
    const [mine, other] = [await register('range'), await register('elsewhere')];
    await submit(6, 'events');
    const { body } = await millrace.request('/v1/predictions/cancel', {
      body: { filter: { 'metadata.order': 'events' } },
    });
    expect(body.done).toBe(6);
    const deliveries = async (endpoint: string, status: string) =>
      (await millrace.request(`/v1/webhook-deliveries?endpoint_id=${endpoint}&status=${status}&limit=100`)).body.data
        .length;
    await expect.poll(() => deliveries(mine, 'pending'), UNTIL).toBe(6);
    // A disabled endpoint cancels its deliveries.
    for (const id of [mine, other])
      await millrace.request(`/v1/webhook-endpoints/${id}`, { method: 'PATCH', body: { status: 'disabled' } });
    await expect.poll(() => deliveries(mine, 'canceled'), UNTIL).toBe(6);

    const { page, faults } = await browser.open(`${millrace.url}/console/webhooks?tab=endpoints&endpoint=${mine}`);
    await page.getByRole('button', { name: 'Enable…' }).click();
    await page.getByRole('button', { name: 'Enable endpoint' }).click();
    await page.getByRole('button', { name: 'Disable…' }).waitFor();
    await millrace.startWorker({ WORKER_ROLES: 'webhooks' });
    await page.getByRole('button', { name: 'Redeliver events…' }).click();
    await page.getByRole('heading', { name: 'Redeliver 6 events?' }).waitFor();
    await expectAccessible(page, 'the dialog of a redelivery');
    await confirm(page, 'Redeliver 6 events');
    const sent = await receiver.until('/200/range', 6);
    expect(new Set(sent.map(({ headers }) => headers['webhook-id'])).size).toBe(6);
    await expect.poll(() => deliveries(mine, 'delivered'), UNTIL).toBe(6);
    expect(receiver.at('/200/elsewhere')).toEqual([]);
    expect(faults).toEqual([]);
  });
});
