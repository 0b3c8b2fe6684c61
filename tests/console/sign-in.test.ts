/** The sign-in: a key becomes a session, and without a session the console and the API show nothing. */
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { createApiKey, revokeApiKey } from '@millrace/shared/tenants/api-keys';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { useMillrace } from '../support/millrace.ts';
import { expectAccessible, hasChromium, useBrowser } from './browser.ts';

const MODEL = 'drug-interaction-similarity';
const millrace = useMillrace({ models: [MODEL] });

const TRACE_URL = 'https://traces.example.com/trace/{trace_id}?from=console';
let db: Pool;
let locked: RunningApi;
const keys: Record<string, { key: string; id: string }> = {};

beforeAll(async () => {
  const { databaseUrl } = millrace.config;
  db = createPool({ databaseUrl, max: 1, statementTimeoutMs: 10_000, applicationName: 'console-test' });
  for (const tenant of ['acme', 'other', 'revoked']) {
    const { key, row } = await createApiKey(db, { tenant, name: '', expiresAt: null });
    keys[tenant] = { key, id: row.id };
  }
  locked = await startApi(
    loadConfig({ ...millrace.env, API_KEYS_REQUIRED: 'true', TRACE_URL }),
    pino({ level: 'silent' }),
  );
});
afterAll(async () => {
  await locked?.close(5_000);
  await db?.end();
});

const keyOf = (tenant: string): string => keys[tenant]?.key ?? '';

async function signIn(key: string): Promise<{ status: number; cookie: string; attributes: string }> {
  const response = await fetch(`${locked.url}/console/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key }),
  });
  const [cookie = '', ...attributes] = (response.headers.get('set-cookie') ?? '').split('; ');
  return { status: response.status, cookie, attributes: attributes.join('; ') };
}

const get = (path: string, headers: Record<string, string>) => fetch(locked.url + path, { headers });

describe('a session', () => {
  test('has the URL of traces only with a key, and a server refuses a URL without the place of the id', async () => {
    const traceUrl = async (headers: Record<string, string>) =>
      ((await (await get('/console/session', headers)).json()) as { trace_url: string | null }).trace_url;
    expect(await traceUrl({})).toBeNull();
    expect(await traceUrl({ cookie: (await signIn(keyOf('acme'))).cookie })).toBe(TRACE_URL);
    for (const url of ['https://traces.example.com/trace', 'javascript:alert("{trace_id}")'])
      expect(() => loadConfig({ ...millrace.env, TRACE_URL: url })).toThrow('TRACE_URL must be an http or https URL');
  });

  test('is a cookie that scripts and other sites cannot use, and not the key', async () => {
    const { status, cookie, attributes } = await signIn(keyOf('acme'));
    expect(status).toBe(200);
    expect(cookie).toMatch(/^millrace-session=mrs_[A-Za-z0-9_-]{49}$/);
    expect(attributes).toMatch(/^Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/);
    expect((await get('/v1/models', { cookie })).status).toBe(200);
    const { rows } = await db.query('SELECT encode(hash, $1) AS hash FROM console_sessions', ['escape']);
    expect(JSON.stringify(rows)).not.toContain('mrs_');
  });

  test('is refused for keys that are unknown, misspelled or revoked', async () => {
    await revokeApiKey(db, keys.revoked?.id ?? '', Date.now());
    for (const key of ['mrk_no', keyOf('acme').slice(0, -1), `${keyOf('acme')}x`, keyOf('revoked'), 'mrs_x'])
      expect([key, (await signIn(key)).status, (await signIn(key)).cookie]).toEqual([key, 401, '']);
  });

  test('reads, and changes only with the header of the console', async () => {
    const { cookie } = await signIn(keyOf('acme'));
    const cancel = (headers: Record<string, string>) =>
      fetch(`${locked.url}/v1/predictions/pred_01a21c4608b17003b4bc3ebdc6cd43e0/cancel`, { method: 'POST', headers });
    expect((await cancel({ cookie })).status).toBe(401);
    expect((await cancel({ cookie, 'millrace-console': '1', 'sec-fetch-site': 'same-site' })).status).toBe(403);
    expect((await cancel({ cookie, 'millrace-console': '1' })).status).toBe(404);
  });

  test('does not help a request with a wrong key, a second cookie of the name, or another token', async () => {
    const { cookie } = await signIn(keyOf('acme'));
    const token = cookie.split('=')[1] ?? '';
    expect((await get('/v1/models', { cookie, authorization: 'Bearer mrk_wrong' })).status).toBe(401);
    expect((await get('/v1/models', { cookie: `${cookie}; millrace-session=x` })).status).toBe(401);
    expect((await get('/v1/models', { cookie: `millrace-session=${keyOf('acme')}` })).status).toBe(401);
    expect((await get('/v1/models', { authorization: `Bearer ${token}` })).status).toBe(401);
  });

  test('ends at the sign-out, and with its key', async () => {
    const first = await signIn(keyOf('other'));
    const second = await signIn(keyOf('other'));
    const end = await fetch(`${locked.url}/console/session`, { method: 'DELETE', headers: { cookie: first.cookie } });
    expect([end.status, end.headers.get('set-cookie')]).toEqual([204, expect.stringContaining('Max-Age=0')]);
    const status = async (cookie: string) => (await get('/v1/models', { cookie })).status;
    await expect.poll(() => status(first.cookie)).toBe(401);
    expect(await status(second.cookie)).toBe(200);
    await revokeApiKey(db, keys.other?.id ?? '', Date.now());
    await expect.poll(() => status(second.cookie)).toBe(401);
  });
});

describe.skipIf(!hasChromium)('the console of a server that requires keys', () => {
  const browser = useBrowser();

  test('shows only the sign-in without a key, and then the page of the address', async () => {
    const { page, faults } = await browser.open(`${locked.url}/console/models/${MODEL}?tab=versions`);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    expect(await page.getByText(MODEL).count()).toBe(0);
    await expectAccessible(page, 'sign-in');
    await page.getByLabel('API key').fill('mrk_wrong');
    await page.keyboard.press('Enter');
    await page.getByText('This key is unknown, expired or revoked.').waitFor();
    await page.getByLabel('API key').fill(keyOf('acme'));
    await page.keyboard.press('Enter');
    await page.getByRole('tab', { name: /Versions/, selected: true }).waitFor();
    expect(await page.evaluate('document.cookie + JSON.stringify(localStorage)')).not.toMatch(/mrk_|mrs_/);
    expect(faults).toEqual([]);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    expect(await page.getByText(MODEL).count()).toBe(0);
  });

  test('never shows the predictions of another tenant', async () => {
    const created = await fetch(`${locked.url}/v1/models/${MODEL}/predictions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${keyOf('acme')}`, 'content-type': 'application/json', prefer: 'wait=30' },
      body: JSON.stringify({ input: { similarities: [[0.3, 9, 1, 0.4, 0.4]] } }),
    });
    const { id } = (await created.json()) as { id: string };
    const { key } = await createApiKey(db, { tenant: 'stranger', name: '', expiresAt: null });
    const { page } = await browser.open(`${locked.url}/console/predictions/${id}`);
    await page.getByLabel('API key').fill(key);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'The prediction does not exist' }).waitFor();
    await page.goto(`${locked.url}/console/predictions`);
    await page.getByRole('heading', { name: 'No prediction yet' }).waitFor();
  });
});
