/** The states of the operators' pages: empty, without rights, with old data after the server is gone; in light and dark, wide and narrow. */
import { createPool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { createApiKey } from '@millrace/shared/tenants/api-keys';
import pino from 'pino';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { useMillrace } from '../support/millrace.ts';
import { expectAccessible, hasChromium, useBrowser } from './browser.ts';

const MODEL = 'drug-interaction-similarity';
const millrace = useMillrace({ models: [MODEL] });
/** Each test opens many pages. */
const PATIENCE = { timeout: 180_000 };

let locked: RunningApi;
const keys: Record<string, string> = {};
beforeAll(async () => {
  const { databaseUrl } = millrace.config;
  const db = createPool({ databaseUrl, max: 1, statementTimeoutMs: 10_000, applicationName: 'console-states' });
  for (const tenant of ['acme', 'default'])
    keys[tenant] = (await createApiKey(db, { tenant, name: '', expiresAt: null })).key;
  await db.end();
  locked = await startApi(loadConfig({ ...millrace.env, API_KEYS_REQUIRED: 'true' }), pino({ level: 'silent' }));
});
afterAll(() => locked?.close(5_000));

const FORMS = [
  { colorScheme: 'light', viewport: { width: 1440, height: 900 } },
  { colorScheme: 'dark', viewport: { width: 1440, height: 900 } },
  { colorScheme: 'light', viewport: { width: 360, height: 780 } },
  { colorScheme: 'dark', viewport: { width: 360, height: 780 } },
] as const;

/** Neither axe-core nor the width of the window may find a fault. */
async function expectSound(page: Page, name: string): Promise<void> {
  await expectAccessible(page, name);
  const tooWide = await page.evaluate<number>(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  );
  expect([name, tooWide]).toEqual([name, 0]);
}

async function signIn(page: Page, tenant: string): Promise<void> {
  await page
    .locator('input')
    .first()
    .fill(keys[tenant] ?? '');
  await page.keyboard.press('Enter');
  await page.getByRole('navigation', { name: 'Console' }).waitFor({ state: 'attached' });
}

describe.skipIf(!hasChromium)('the pages of an operator', PATIENCE, () => {
  const browser = useBrowser();

  test.each(FORMS)('without data, in %j', async (options) => {
    const { page, faults } = await browser.open(`${millrace.url}/console`, options);
    const name = `${options.colorScheme} ${options.viewport.width}`;
    await page.getByRole('heading', { name: 'Idle in the last hour' }).waitFor();
    await page.getByRole('table', { name: 'Workers' }).waitFor();
    await expectSound(page, `overview ${name}`);
    await page.goto(`${millrace.url}/console/webhooks`);
    await page.getByRole('heading', { name: 'No delivery yet' }).waitFor();
    await expectSound(page, `no delivery ${name}`);
    await page.goto(`${millrace.url}/console/webhooks?tab=endpoints`);
    await page.getByRole('heading', { name: 'No endpoint yet' }).waitFor();
    await expectSound(page, `no endpoint ${name}`);
    await page.goto(`${millrace.url}/console/webhooks?status=failed`);
    await page.getByRole('heading', { name: 'No delivery matches' }).waitFor();
    await page.goto(`${millrace.url}/console/webhooks?delivery=whd_00000000000000000000000000000000`);
    await page.getByRole('alert').waitFor();
    await expectSound(page, `unknown delivery ${name}`);
    await page.goto(`${millrace.url}/console/workers`);
    await page.getByRole('heading', { name: '1 worker running' }).waitFor();
    await expectSound(page, `workers ${name}`);
    expect(faults).toEqual([]);
  });

  test('show a tenant its own history, and neither the workers nor the queue', async () => {
    const { page, faults } = await browser.open(`${locked.url}/console`);
    await signIn(page, 'acme');
    await page.getByRole('heading', { name: 'Idle in the last hour' }).waitFor();
    await page.getByText('Only operators see the queue').first().waitFor();
    await page.getByRole('heading', { name: 'Models' }).waitFor();
    expect(await page.getByRole('link', { name: 'Workers' }).count()).toBe(0);
    expect(await page.getByRole('table', { name: 'Workers' }).count()).toBe(0);
    await expectSound(page, 'overview of a tenant');
    await page.goto(`${locked.url}/console/workers`);
    await page.getByRole('heading', { name: 'No access with this key' }).waitFor();
    await expectSound(page, 'no access');
    expect(faults).toEqual([]);

    const { page: operator } = await browser.open(`${locked.url}/console`);
    await signIn(operator, 'default');
    await operator.getByRole('link', { name: 'Workers', exact: true }).waitFor();
    await operator.getByRole('table', { name: 'Workers' }).waitFor();
  });

  test('keep the last data when the server is gone, and say so', async () => {
    const gone = await startApi(loadConfig(millrace.env), pino({ level: 'silent' }));
    const { page } = await browser.open(`${gone.url}/console`);
    await page.getByRole('heading', { name: 'Idle in the last hour' }).waitFor();
    await page.getByRole('table', { name: 'Models by requests' }).waitFor();
    await gone.close(5_000);
    await page.getByText('The page shows the last state.').first().waitFor();
    expect(await page.getByRole('table', { name: 'Models by requests' }).count()).toBe(1);
    await expectSound(page, 'overview without a server');
  });
});
