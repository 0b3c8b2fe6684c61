/**
 * `npm run console:pictures -- URL`: takes a picture of each page of the console of a running server, in light, dark and phone form, and
 * writes the pictures to docs/images. The server is an `npm start` with the bundled models, without other data. With the URL of its
 * database in DATABASE_URL the charts have an hour of history.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { addHistory } from '../tests/console/operator-system.ts';

const url = process.argv[2] ?? 'http://127.0.0.1:8080';
const folder = path.resolve(import.meta.dirname, '../docs/images');
const MODEL = 'drug-interaction';
const PAIRS = [
  ['Warfarin', 'Fluconazole'],
  ['Warfarin', 'Rupatadine'],
  ['Simvastatin', 'Fluconazole'],
  ['Tramadol', 'Sertraline'],
  ['Betahistine', 'Amoxicillin'],
  ['Azithromycin', 'Atorvastatin'],
  ['Warfarin', 'Acetylsalicylic acid'],
] as const;

const FORMS = {
  light: { viewport: { width: 1440, height: 900 }, colorScheme: 'light' },
  dark: { viewport: { width: 1440, height: 900 }, colorScheme: 'dark' },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: 'dark' },
} as const;

interface Picture {
  address: string;
  /** Brings the page to the state of the picture. */
  ready(page: Page): Promise<void>;
}

const heading = (name: string | RegExp) => (page: Page) => page.getByRole('heading', { name }).first().waitFor();
const row = (page: Page) => page.locator('tbody tr').first().waitFor();

function picturesOf(id: string): Record<string, Picture> {
  return {
    model: {
      address: `/models/${MODEL}?drug_a=Simvastatin&drug_b=Fluconazole`,
      ready: async (page) => {
        // The first drug with its hint, and then an output that was computed now.
        await page.getByText('C25H38O5').waitFor();
        await page.getByText(/cache on/).click();
        await page.getByLabel('Cache').selectOption('no-cache');
        await page.getByText(/computed again/).click();
        await page.getByRole('button', { name: /Run model/ }).click();
        await heading('Time per stage')(page);
        await page.getByRole('button', { name: /^Run model/ }).waitFor();
      },
    },
    card: { address: `/models/${MODEL}?tab=card`, ready: heading('Quality') },
    versions: { address: `/models/${MODEL}?tab=versions`, ready: row },
    models: { address: '/models', ready: row },
    overview: { address: '', ready: (page) => page.locator('.plot .c1').first().waitFor() },
    predictions: { address: '/predictions?range=1h', ready: row },
    prediction: { address: `/predictions/${id}`, ready: heading('Timeline') },
    workers: { address: '/workers', ready: row },
    webhooks: { address: '/webhooks', ready: heading(/./) },
  };
}

async function predict(input: object): Promise<string> {
  const response = await fetch(`${url}/v1/models/${MODEL}/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30', 'cache-control': 'no-cache' },
    body: JSON.stringify(input),
  });
  const body = (await response.json()) as { id?: string; detail?: string };
  if (body.id === undefined) throw new Error(`The server at ${url} refused a prediction: ${body.detail}`);
  return body.id;
}

/** A third of the size of the PNG. Chromium itself has the encoder. */
async function asWebp(browser: Browser, png: Buffer): Promise<Buffer> {
  const page = await browser.newPage();
  const source = JSON.stringify(`data:image/png;base64,${png.toString('base64')}`);
  const uri = await page.evaluate<string>(`(async () => {
    const image = new Image();
    image.src = ${source};
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.width;
    canvas.height = image.height;
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL('image/webp', 0.86);
  })()`);
  await page.close();
  return Buffer.from(uri.slice(uri.indexOf(',') + 1), 'base64');
}

async function take(browser: Browser, name: string, wanted: Picture): Promise<void> {
  for (const [form, options] of Object.entries(FORMS)) {
    const context = await browser.newContext({
      ...options,
      reducedMotion: 'reduce',
      locale: 'en-GB',
      timezoneId: 'UTC',
    });
    const page = await context.newPage();
    await page.goto(`${url}/console${wanted.address}`);
    await wanted.ready(page);
    await page.evaluate('document.activeElement?.blur(); scrollTo(0, 0)');
    await page.waitForLoadState('networkidle').catch(() => {});
    const picture = await asWebp(browser, await page.screenshot());
    await writeFile(path.join(folder, `console-${name}-${form}.webp`), picture);
    await context.close();
  }
  console.log(`console-${name}`);
}

const databaseUrl = process.env.DATABASE_URL;
if (databaseUrl !== undefined)
  await addHistory({ databaseUrl }, { models: [MODEL, 'drug-interaction-similarity'], minutes: 60, nowMs: Date.now() });
await mkdir(folder, { recursive: true });
let id = '';
for (const [drug_a, drug_b] of PAIRS)
  id = await predict({ input: { drug_a, drug_b }, metadata: { order: '20417', team: 'checkout' } });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--force-color-profile=srgb', '--hide-scrollbars'],
});
const only = process.argv[3]?.split(',');
for (const [name, picture] of Object.entries(picturesOf(id)))
  if (!only || only.includes(name)) await take(browser, name, picture);
await browser.close();
