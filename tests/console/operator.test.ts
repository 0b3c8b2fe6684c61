/** An operator: the overview, workers, versions, webhooks, and what each step changes on the server. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { floats, onnxModel } from '../support/onnx-builder.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { expectAccessible, hasChromium, useBrowser } from './browser.ts';
import { addHistory, WEBHOOK_ENV } from './operator-system.ts';

const MODEL = 'sum';
const UNTIL = { timeout: 60_000, interval: 100 };

/** y = x + c for x of float32[n]. */
const adds = (c: number): Buffer =>
  onnxModel({
    nodes: [{ op: 'Add', inputs: ['x', 'c'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n'] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n'] }],
    initializers: [{ name: 'c', dtype: 'float32', dims: [], data: floats(c) }],
  });

let dir = '';
afterAll(() => rm(dir, { recursive: true, force: true }));
const millrace = useMillrace(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-console-'));
  const files = { '1': adds(0.25), '2': adds(0.5), '3': Buffer.from('not ONNX') };
  for (const [version, file] of Object.entries(files)) {
    await mkdir(path.join(dir, MODEL, version), { recursive: true });
    await writeFile(path.join(dir, MODEL, version, 'model.onnx'), file);
  }
  return { modelsDir: dir, models: [MODEL], env: WEBHOOK_ENV };
});

let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
  await addHistory(millrace.config, { models: [MODEL], minutes: 60, nowMs: Date.now() - 60_000 });
});
afterAll(() => receiver?.close());

const version = async (name: string) => (await millrace.request(`/v1/models/${MODEL}/versions/${name}`)).body;
const openLink = (page: Page, name: string) =>
  page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name }).click();

/** Each test opens several pages, which takes time on a busy machine. */
const PATIENCE = { timeout: 120_000 };

describe.skipIf(!hasChromium)('an operator', PATIENCE, () => {
  const browser = useBrowser();
  const dark = { colorScheme: 'dark', viewport: { width: 390, height: 844 } } as const;

  test('sees whether the system keeps up, the problems, and the history by keyboard', async () => {
    await expect.poll(async () => (await version('3')).status, UNTIL).toBe('failed');
    const { page, faults } = await browser.open(`${millrace.url}/console`);
    page.setDefaultTimeout(15_000);
    await page.getByRole('heading', { name: /Keeping up|Idle/, level: 1 }).waitFor();
    await page.getByText(`${MODEL} 3 failed to load`).waitFor();
    await page.getByRole('link', { name: 'Models 1 with a failed version' }).waitFor();
    await page.locator('.plot rect.b1').first().waitFor();
    await page.getByRole('link', { name: MODEL, exact: true }).waitFor();
    await expectAccessible(page, 'the overview');

    await page.keyboard.press('2');
    await expect.poll(() => new URL(page.url()).searchParams.get('range')).toBe('6h');
    await page.keyboard.press('l');
    await page.getByRole('button', { name: /^Stopped at/ }).waitFor();
    await page.goBack();
    await page.goBack();
    await page.getByRole('button', { name: 'Live', exact: true }).waitFor();
    expect(new URL(page.url()).search).toBe('');

    // The crosshair shows the values of one step in all charts, and Enter shows the predictions of this step.
    await page.locator('.plot rect.b1').first().waitFor();
    const charts = page.getByRole('group', { name: /^Charts/ });
    await charts.focus();
    for (let step = 0; step < 3; step += 1) await page.keyboard.press('ArrowLeft');
    await expect.poll(() => page.locator('.plot .cross').count()).toBe(6);
    await page.keyboard.press('Enter');
    await expect.poll(() => page.url()).toMatch(/\/console\/predictions\?.*from=.*to=/);
    await page.goBack();
    await page.getByRole('link', { name: 'View error' }).click();
    await page.getByRole('button', { name: 'View error' }).waitFor();
    expect(faults).toEqual([]);

    const { page: phone, faults: phoneFaults } = await browser.open(`${millrace.url}/console`, dark);
    await phone.locator('.plot rect.b1').first().waitFor();
    await expectAccessible(phone, 'the overview, dark, on a phone');
    expect(phoneFaults).toEqual([]);
  });

  test('promotes a version, rolls back, sees a reason, and retires a version', async () => {
    const { page, faults } = await browser.open(`${millrace.url}/console/models/${MODEL}?tab=versions`);
    const row = (name: string) => page.getByRole('row', { name: new RegExp(`^${name} `) });
    const serving = async () => (await millrace.request(`/v1/models/${MODEL}`)).body.aliases.production;
    // Another operator moves the alias while the dialog is open.
    await row('2').getByRole('button', { name: 'Promote…' }).click();
    const alias = `/v1/models/${MODEL}/aliases/production`;
    expect((await millrace.request(alias, { method: 'PUT', body: { version: '1' } })).status).toBe(200);
    await page.getByRole('button', { name: 'Promote version 2' }).click();
    await page.getByText('Somebody else has moved the alias production to version 1').waitFor();
    expect(await serving()).toBe('1');
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^(Keep|Do not)/ })
      .click();
    await row('1').getByText('production').waitFor();
    await row('2').getByRole('button', { name: 'Promote…' }).click();
    await page.getByRole('button', { name: 'Promote version 2' }).click();
    await expect.poll(serving, UNTIL).toBe('2');
    const ran = await millrace.predict(MODEL, { input: { x: { data: [1], shape: [1], dtype: 'float32' } } });
    expect(ran.body.version).toBe('2');

    await row('1').getByRole('button', { name: 'Roll back…' }).click();
    await expectAccessible(page, 'the dialog of a roll-back');
    await page.getByRole('button', { name: 'Roll back to version 1' }).click();
    await expect.poll(serving, UNTIL).toBe('1');

    await row('3').getByRole('button', { name: 'View error' }).click();
    await page.getByRole('region', { name: 'Reason' }).waitFor();
    expect(await page.getByRole('region', { name: 'Reason' }).textContent()).toBe((await version('3')).reason);
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();

    await page.getByRole('button', { name: 'Retire version 2' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Retire version 2' }).click();
    await expect.poll(async () => (await version('2')).status, UNTIL).toBe('retired');
    const refused = await millrace.request(`/v1/models/${MODEL}/versions/1/retire`, { body: {} });
    expect([refused.status, refused.body.code]).toEqual([409, 'alias_conflict']);
    await page.getByRole('button', { name: 'Clear cache…' }).click();
    await page.getByRole('button', { name: 'Clear cache', exact: true }).click();
    await page.getByText(`The cache of ${MODEL} is empty.`).waitFor();
    expect(faults).toEqual([]);
  });

  test('sees when predictions were created, and opens a step by pointer and by keyboard', async () => {
    const { page, faults } = await browser.open(`${millrace.url}/console/predictions?range=1h`);
    await page.locator('.creations .b2').first().waitFor();
    const chart = page.getByRole('group', { name: /^Chart\./ });
    const svg = chart.getByRole('img');
    expect(await svg.getAttribute('aria-label')).toMatch(/^[\d,]+ predictions created, [\d,]+ failed or expired/);
    await chart.focus();
    for (let step = 0; step < 20; step += 1) await page.keyboard.press('ArrowLeft');
    await chart.getByRole('status').getByText('created').waitFor();
    await expectAccessible(page, 'the chart of the creations');
    await page.keyboard.press('Enter');
    await expect.poll(() => new URL(page.url()).searchParams.get('from')).toMatch(/:59\.999Z$/);
    const { searchParams } = new URL(page.url());
    expect(Date.parse(searchParams.get('to') ?? '') - Date.parse(searchParams.get('from') ?? '')).toBe(60_001);
    expect(searchParams.get('range')).toBeNull();
    // One minute is no chart.
    await chart.waitFor({ state: 'detached' });
    await page.goBack();
    await page.locator('.creations .b2').first().waitFor();
    await svg.click({ position: { x: 200, y: 20 } });
    await expect.poll(() => new URL(page.url()).searchParams.get('from')).toMatch(/:59\.999Z$/);
    // The history has the ends of a status, and no metadata.
    await page.goto(`${millrace.url}/console/predictions?range=1h&status=failed`);
    await page.locator('.creations .b3').first().waitFor();
    expect(await page.locator('.creations .b2').count()).toBe(await page.locator('.creations .b3').count());
    await page.goto(`${millrace.url}/console/predictions?range=1h&metadata.order=1`);
    await page.getByRole('heading', { name: 'No prediction matches' }).waitFor();
    expect(await chart.count()).toBe(0);
    expect(faults).toEqual([]);
    const { page: phone, faults: phoneFaults } = await browser.open(
      `${millrace.url}/console/predictions?range=1h`,
      dark,
    );
    await phone.locator('.creations .b2').first().waitFor();
    await expectAccessible(phone, 'the chart of the creations, dark, on a phone');
    expect(phoneFaults).toEqual([]);
  });

  test('sees the workers, and one worker with its engines', async () => {
    const { page, faults } = await browser.open(`${millrace.url}/console`);
    await openLink(page, 'Workers');
    await page.getByRole('heading', { name: '1 worker running' }).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('table', { name: 'Engines' }).waitFor();
    await expectAccessible(page, 'a worker');
    await page.keyboard.press('Escape');
    await expect.poll(() => new URL(page.url()).search).toBe('');
    expect(faults).toEqual([]);
    const { page: phone } = await browser.open(`${millrace.url}/console/workers`, dark);
    await phone.getByRole('table', { name: 'Workers' }).waitFor();
    await expectAccessible(phone, 'the workers, dark, on a phone');
  });

  test('adds an endpoint, sends a test event, sees the request and the reply, redelivers, and rotates the secret', async () => {
    const { page, faults } = await browser.open(`${millrace.url}/console/webhooks`);
    await page.getByRole('button', { name: 'Add endpoint…' }).first().click();
    await page.getByRole('textbox', { name: 'URL' }).fill('gopher://x');
    await page.getByRole('button', { name: 'Add endpoint and show secret' }).click();
    await page.locator('#endpoint-url[aria-invalid=true]').waitFor();
    await page.getByRole('textbox', { name: 'URL' }).fill(`${receiver.url}/200/console`);
    await page.getByRole('checkbox', { name: 'failed' }).check();
    await page.getByRole('button', { name: 'Add endpoint and show secret' }).click();
    const first = await page.getByRole('textbox', { name: 'Secret' }).textContent();
    expect(first).toMatch(/^whsec_/);
    await expectAccessible(page, 'the secret of a new endpoint');
    await page.getByRole('button', { name: 'I have stored the secret' }).click();
    const { body } = await millrace.request('/v1/webhook-endpoints');
    expect(body.data).toMatchObject([
      { url: `${receiver.url}/200/console`, events: ['prediction.failed'], models: [] },
    ]);
    await page.getByRole('heading', { name: '1 endpoint, none failing' }).waitFor();

    receiver.script('/200/console', 500);
    await page.getByRole('button', { name: 'Send test event' }).click();
    await page.getByRole('region', { name: 'Request' }).first().waitFor();
    const [sent] = await receiver.until('/200/console', 1);
    const request = (await page.getByRole('region', { name: 'Request' }).first().textContent()) ?? '';
    expect(request).toContain(`webhook-id: ${sent?.headers['webhook-id']}`);
    expect(JSON.parse(request.slice(request.indexOf('{')))).toEqual(JSON.parse(sent?.body ?? ''));
    await page.getByRole('region', { name: 'Response' }).first().getByText('replied 500').waitFor();
    await expectAccessible(page, 'a delivery');
    await page.getByRole('button', { name: 'Redeliver', exact: true }).click();
    await receiver.until('/200/console', 2);
    await page.getByRole('region', { name: 'webhook_endpoint.test' }).getByText('delivered').waitFor();

    await page.getByRole('tab', { name: /Endpoints/ }).click();
    await page.getByRole('link', { name: `${receiver.url}/200/console` }).click();
    await page.getByRole('button', { name: 'Rotate secret…' }).first().click();
    await page.getByLabel('The previous secret signs').selectOption('no longer');
    await page.getByRole('button', { name: 'Rotate secret', exact: true }).click();
    const second = await page.getByRole('textbox', { name: 'Secret' }).textContent();
    expect(second).toMatch(/^whsec_/);
    expect(second).not.toBe(first);
    await page.getByRole('button', { name: 'I have stored the secret' }).click();
    await page.getByRole('button', { name: 'Disable…' }).click();
    await page.getByRole('button', { name: 'Disable endpoint' }).click();
    const state = async () => (await millrace.request(`/v1/webhook-endpoints/${body.data[0].id}`)).body.status;
    await expect.poll(state, UNTIL).toBe('disabled');
    await page.getByRole('button', { name: 'Remove…' }).click();
    await page.getByRole('button', { name: 'Remove endpoint' }).click();
    await vi.waitFor(
      async () => expect((await millrace.request('/v1/webhook-endpoints')).body.data).toEqual([]),
      UNTIL,
    );
    await page.getByRole('heading', { name: 'No endpoint yet' }).waitFor();
    await expectAccessible(page, 'no endpoint');
    expect(faults).toEqual([]);
    const { page: phone } = await browser.open(`${millrace.url}/console/webhooks`, dark);
    await phone.getByRole('table', { name: 'Deliveries' }).waitFor();
    await expectAccessible(phone, 'the deliveries, dark, on a phone');
  });
});
