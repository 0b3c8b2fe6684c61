/** A model user: chooses drugs by keyboard alone, runs the model, and finds the prediction again after a restart. */
import pino from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startApi } from '../../apps/api/src/server.ts';
import { useMillrace } from '../support/millrace.ts';
import { expectAccessible, hasChromium, useBrowser } from './browser.ts';

const millrace = useMillrace({
  models: ['drug-interaction', 'drug-interaction-similarity'],
});
const FORMS = [
  { colorScheme: 'dark', viewport: { width: 1440, height: 900 } },
  { colorScheme: 'light', viewport: { width: 390, height: 844 } },
  { colorScheme: 'dark', viewport: { width: 390, height: 844 } },
] as const;
/** Each test opens several pages, which takes time on a busy machine. */
const PATIENCE = { timeout: 180_000 };

describe.skipIf(!hasChromium)('a model user', PATIENCE, () => {
  const browser = useBrowser();

  test.each(FORMS)('has accessible pages without a sideways scroll, in %j', async (form) => {
    const input = { drug_a: 'Warfarin', drug_b: 'Sertraline' };
    const headers = {
      prefer: 'wait=30',
      'cache-control': 'no-store',
    };
    await millrace.predict('drug-interaction', { input }, headers);
    const { page, faults } = await browser.open(`${millrace.url}/console/models`, form);
    const check = async (name: string) => {
      await expectAccessible(page, `${name}, ${JSON.stringify(form)}`);
      expect([name, await page.evaluate('document.documentElement.scrollWidth > innerWidth')]).toEqual([name, false]);
    };
    await page.getByRole('link', { name: 'drug-interaction', exact: true }).waitFor();
    await check('models');
    await page.goto(`${millrace.url}/console/models/drug-interaction?drug_a=Warfarin&drug_b=Fluconazole`);
    await page.getByText('C13H12F2N6O').waitFor();
    await check('the form');
    await page.getByRole('combobox', { name: 'Drug B' }).fill('sertr');
    await page.getByRole('option', { name: /Sertraline/ }).waitFor();
    await check('suggestions');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('link', { name: 'View prediction', exact: true }).waitFor();
    await check('an output');
    await page.goto(`${millrace.url}/console/models/drug-interaction?tab=card`);
    await page.getByRole('heading', { name: 'Quality' }).waitFor();
    await check('the card');
    await page.goto(`${millrace.url}/console/models/drug-interaction?tab=versions`);
    await page.getByRole('table', { name: 'Versions' }).waitFor();
    await check('versions');
    await page.goto(`${millrace.url}/console/predictions`);
    await page
      .getByRole('link', { name: /Warfarin/ })
      .first()
      .waitFor();
    await check('predictions');
    await page
      .getByRole('link', { name: /Warfarin/ })
      .first()
      .click();
    await page.getByRole('heading', { name: 'Timeline' }).waitFor();
    await check('a prediction');
    expect(faults).toEqual([]);
  });

  test('chooses two drugs by keyboard, sees the output, and finds the prediction after a restart of all processes', async () => {
    const { page, faults } = await browser.open(`${millrace.url}/console`);
    const { keyboard } = page;
    await page.getByRole('link', { name: 'drug-interaction', exact: true }).waitFor();
    await keyboard.press('j');
    await keyboard.press('Enter');
    await page.getByRole('combobox', { name: 'Drug A' }).waitFor();
    // Tab walks through the page until the field has the focus.
    const focused = () => page.evaluate<string>('document.activeElement.id');
    while ((await focused()) !== 'field-drug_a') await keyboard.press('Tab');
    for (const [id, typed, name] of [
      ['field-drug_a', 'war', 'Warfarin'],
      ['field-drug_b', 'diflu', 'Fluconazole'],
    ] as const) {
      while ((await focused()) !== id) await keyboard.press('Tab');
      await keyboard.type(typed);
      await page.getByRole('option', { name: new RegExp(name), selected: true }).waitFor();
      await keyboard.press('Enter');
      expect(await page.locator(`#${id}`).inputValue()).toBe(name);
    }
    await page.getByText('C13H12F2N6O').waitFor();
    const sent: string[] = [];
    page.on('request', (request) => {
      if (request.method() === 'POST') sent.push(new URL(request.url()).pathname);
    });
    await keyboard.press('Control+Enter');
    await page.getByText('99.3').waitFor();
    expect(sent).toEqual(['/v1/models/drug-interaction/predictions']);
    expect(new URL(page.url()).searchParams.get('drug_b')).toBe('Fluconazole');
    await expectAccessible(page, 'the model page with an output');

    const link = page.getByRole('link', { name: 'View prediction', exact: true });
    await link.focus();
    await keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Succeeded' }).waitFor();
    await page.getByRole('heading', { name: 'Timeline' }).waitFor();
    await expectAccessible(page, 'a prediction');
    const id = new URL(page.url()).pathname.split('/').at(-1) ?? '';
    expect(id).toMatch(/^pred_/);
    expect(faults).toEqual([]);

    await millrace.stopWorkers('stop');
    await millrace.api.close(5_000);
    const again = await startApi(millrace.config, pino({ level: 'silent' }));
    onTestFinished(async () => void (await again.close(5_000)));
    await millrace.startWorker();
    const { page: later, faults: laterFaults } = await browser.open(`${again.url}/console/predictions`);
    await later.getByRole('link', { name: 'Warfarin · Fluconazole' }).first().waitFor();
    await later.keyboard.press('/');
    await later.keyboard.type(id.slice(0, 20));
    await later.keyboard.press('Enter');
    await expect.poll(() => later.url()).toContain(`id=${id.slice(0, 20)}`);
    await expectAccessible(later, 'the list of predictions');
    await later.keyboard.press('Escape');
    await later.locator('body').click({ position: { x: 5, y: 500 } });
    await later.keyboard.press('j');
    await later.keyboard.press('Enter');
    await expect.poll(() => later.url()).toContain(`/console/predictions/${id}`);
    await later.goBack();
    await later.getByRole('button', { name: 'Remove the filter id' }).waitFor();
    expect(laterFaults).toEqual([]);
  });
});
