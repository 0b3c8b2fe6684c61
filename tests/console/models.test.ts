/** The model pages: the card, the versions with promote, roll back and retire, a file of rows, images, and the form of raw tensors. */
import { cp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { expectAccessible, hasChromium, useBrowser } from './browser.ts';

const TESTS = path.resolve(import.meta.dirname, '../models');
/** Folders of Hugging Face, whose tasks have inputs with texts, labels and stored images. */
const HUGGING_FACE = [
  ['text-models/models', 'classifier'],
  ['text-models/models', 'entailment'],
  ['image-models/models', 'vit'],
] as const;

const README = `# rows

> **Careful.** <script>alert(1)</script>

| metric | value |
| --- | --- |
| ROC-AUC | 0.992 |

[A paper](https://example.com/paper), [a file](../x.md), [no](javascript:alert(1)).

![A point](point.png) ![Foreign](https://example.com/spy.png) ![Outside](../../secret.png)
`;
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

describe.skipIf(!hasChromium)('the model pages', () => {
  const browser = useBrowser();
  let millrace: Millrace;
  let folder: Awaited<ReturnType<typeof makeModelFolder>>;
  const model = (name: string) => millrace.request(`/v1/models/${name}`).then(({ body }) => body);

  beforeAll(async () => {
    folder = await makeModelFolder(['rows', 'image', 'echo'], ['drug-interaction']);
    const dir = path.join(folder.dir, 'rows');
    await writeFile(path.join(dir, 'README.md'), README);
    await writeFile(path.join(dir, 'point.png'), PNG);
    await writeFile(path.join(dir, 'metrics.json'), '{"roc_auc": 0.992}');
    await cp(path.join(dir, '1'), path.join(dir, '2'), { recursive: true });
    for (const [from, name] of HUGGING_FACE)
      await cp(path.join(TESTS, from, name), path.join(folder.dir, name), { recursive: true });
    const models = ['rows', 'image', 'echo', 'drug-interaction', ...HUGGING_FACE.map(([, name]) => name)];
    millrace = await startMillrace({
      modelsDir: folder.dir,
      models,
      env: { FILES_URL: path.join(folder.dir, '.files') },
    });
  });
  afterAll(async () => {
    await millrace?.close();
    await folder?.remove();
  });

  test('show the card of a stranger without its scripts, links and foreign images', async () => {
    await expect.poll(async () => (await model('rows')).version_counts).toEqual({ ready: 2 });
    for (const version of ['1', '2'])
      await expect
        .poll(async () => (await millrace.request(`/v1/models/rows/versions/${version}/card`)).body.readme)
        .toBe(README);
    const { page, faults } = await browser.open(`${millrace.url}/console/models/rows?tab=card`);
    await page.getByRole('img', { name: 'A point' }).waitFor();
    expect(await page.getByText('<script>alert(1)</script>').count()).toBe(1);
    expect(await page.getByRole('img', { name: 'Foreign' }).count()).toBe(0);
    expect(await page.evaluate('[...document.querySelectorAll(".prose a")].map((link) => link.href)')).toEqual([
      'https://example.com/paper',
    ]);
    await page.getByText('0.992').first().waitFor();
    await expectAccessible(page, 'the card');
    expect(faults).toEqual([]);
    const { body } = await millrace.request('/v1/models/rows/versions/2/card');
    expect(body).toMatchObject({ model: 'rows', version: '2', figures: { roc_auc: 0.992 } });
    expect(Object.keys(body.images)).toEqual(['point.png']);
    const changed = `${README}\nChanged.`;
    await writeFile(path.join(folder.dir, 'rows', 'README.md'), changed);
    await expect
      .poll(async () => (await millrace.request('/v1/models/rows/versions/1/card')).body.readme)
      .toBe(changed);
  });

  test('promote a version, roll back, and retire a version', async () => {
    const { page, faults } = await browser.open(`${millrace.url}/console/models/rows?tab=versions`);
    const act = async (verb: 'Promote' | 'Roll back', version: string) => {
      await page
        .getByRole('row', { name: new RegExp(`^${version} `) })
        .getByRole('button', { name: `${verb}…` })
        .click();
      await expectAccessible(page, `the dialog of ${verb}`);
      const button = verb === 'Promote' ? `Promote version ${version}` : `Roll back to version ${version}`;
      await page.getByRole('button', { name: button }).click();
      await expect.poll(async () => (await model('rows')).aliases).toEqual({ production: version });
      await page.getByText(`production → ${version}`).waitFor();
    };
    await act('Roll back', '1');
    await act('Promote', '2');
    await act('Roll back', '1');
    expect((await millrace.predict('rows', { input: { x: [[1, 2]] } }, { prefer: 'wait=30' })).body.version).toBe('1');
    const retire = () =>
      page.getByRole('row', { name: /^2 / }).getByRole('button', { name: 'Retire version 2' }).click();
    const choice = (name: string) => page.getByRole('dialog').getByRole('button', { name });
    await retire();
    await choice('Keep version 2').press('Enter');
    expect((await model('rows')).version_counts).toEqual({ ready: 2 });
    await retire();
    await choice('Retire version 2').click();
    await expect.poll(async () => (await model('rows')).version_counts).toEqual({ ready: 1, retired: 1 });
    await page.getByRole('row', { name: /^2 retired/ }).waitFor();
    expect(faults).toEqual([]);
    const refused = await millrace.request('/v1/models/rows/versions/1/retire', { method: 'POST' });
    expect([refused.status, refused.body.code]).toEqual([409, 'alias_conflict']);
  });

  test('clear the cache after a confirmation', async () => {
    const { page } = await browser.open(`${millrace.url}/console/models/echo`);
    const hit = async () =>
      (await millrace.predict('echo', { input: { x: [1, 2] } }, { prefer: 'wait=30' })).headers.get('cache-status');
    // The worker writes the result to the cache beside the first response.
    await expect.poll(hit).toContain('hit');
    await page.getByRole('button', { name: 'Clear cache…' }).click();
    await page.getByRole('button', { name: 'Clear cache', exact: true }).click();
    await page.getByText('The cache of echo is empty.').waitFor();
    expect(await hit()).toContain('miss');
  });

  test('run the rows of a CSV file, show each fault at its row, and offer the outputs', async () => {
    const { page, faults } = await browser.open(`${millrace.url}/console/models/drug-interaction`);
    const csv = 'drug_a,drug_b\r\nWarfarin,Fluconazole\r\n"nonsense, really",Warfarin\r\nTramadol,Sertraline\r\n';
    await page
      .getByLabel('Run a file')
      .locator('input')
      .setInputFiles({ name: 'pairs.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) });
    await page.getByRole('heading', { name: '2 of 3 rows scored' }).waitFor();
    await page.getByRole('row', { name: /nonsense, really.*neither a drug/ }).waitFor();
    await expectAccessible(page, 'the outputs of a file');
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'CSV' }).click();
    const file = await (await download).createReadStream();
    const text = (await file.toArray()).join('');
    const [head, first, second] = text.split('\r\n');
    expect(head).toBe('drug_a,drug_b,interaction,probability,basis,error');
    expect(first).toMatch(/^Warfarin,Fluconazole,true,0\.99\d+,structure and profile,$/);
    expect(second).toMatch(/^"nonsense, really",Warfarin,,,,"/);
    expect(faults).toEqual([]);
  });

  test('take a tensor, and show the fault of a wrong shape at its field', async () => {
    const { page } = await browser.open(`${millrace.url}/console/models/rows`);
    const field = page.getByLabel('x', { exact: true });
    await field.fill('[[1, 2], [3, 4]]');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('region', { name: 'Elements' }).waitFor();
    await field.fill('[1]');
    await page.keyboard.press('Control+Enter');
    await page
      .getByText(/must be float32\[/)
      .first()
      .waitFor();
    expect(await field.getAttribute('aria-invalid')).toBe('true');
    await field.fill('[');
    await page.keyboard.press('Control+Enter');
    await page.getByText('x is not JSON.').waitFor();
    await expectAccessible(page, 'a fault of a field');
  });

  test('turn a dropped image into the elements of a tensor', async () => {
    const { page } = await browser.open(`${millrace.url}/console/models/image`);
    await page
      .locator('input[accept="image/*"]')
      .setInputFiles({ name: 'point.png', mimeType: 'image/png', buffer: PNG });
    await page.getByRole('img', { name: 'The chosen image' }).waitFor();
    await page.keyboard.press('Control+Enter');
    // A point of pure green: red, green and blue from 0 to 1.
    await expect
      .poll(() => page.getByRole('region', { name: 'Elements' }).getByRole('cell').allTextContents())
      .toEqual(['0', '1', '0']);
  });

  test('take two texts of several lines, and send them as they are', async () => {
    const { page, faults } = await browser.open(`${millrace.url}/console/models/classifier`);
    await page.getByLabel('Text', { exact: true }).fill('The first line.\n  The second line. ');
    await page.getByLabel('Text pair').fill('Another text.');
    await page.getByRole('button', { name: 'Swap' }).click();
    await page.keyboard.press('Control+Enter');
    await page.getByRole('link', { name: 'View prediction', exact: true }).waitFor();
    const code =
      (await page
        .getByRole('region', { name: /^Code|^The same/ })
        .first()
        .textContent()) ?? '';
    expect(code).toContain('"text_pair":"The first line.\\n  The second line. "');
    await expectAccessible(page, 'a form of two texts');
    expect(faults).toEqual([]);
  });

  test('take a label in each line', async () => {
    const { page, faults } = await browser.open(`${millrace.url}/console/models/entailment`);
    await page.getByLabel('Text', { exact: true }).fill('The match ended late.');
    await page.getByLabel('Labels').fill(' \n');
    await page.keyboard.press('Control+Enter');
    await page.getByText('Labels is required.').waitFor();
    await page.getByLabel('Labels').fill('sport\n\n politics \nweather');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('link', { name: 'View prediction', exact: true }).waitFor();
    const bars = page.locator('.fall.labels dt');
    expect((await bars.allTextContents()).sort()).toEqual(['politics', 'sport', 'weather']);
    expect(new URL(page.url()).searchParams.get('labels')).toBe('sport\n\n politics \nweather');
    await expectAccessible(page, 'a form with labels');
    expect(faults).toEqual([]);
  });

  test('store a dropped image as a file, and take the id of a file', async () => {
    const { page, faults } = await browser.open(`${millrace.url}/console/models/vit`);
    const choose = (name: string, buffer: Buffer) =>
      page.locator('input[accept="image/*"]').setInputFiles({ name, mimeType: 'image/png', buffer });
    await choose('broken.png', Buffer.from('no image'));
    await page.getByText(/^broken.png is not an image/).waitFor();
    await choose('point.png', PNG);
    await page.getByRole('img', { name: 'The chosen image' }).waitFor();
    const { body } = await millrace.request('/v1/files');
    expect(body.data).toMatchObject([{ filename: 'point.png', bytes: PNG.length }]);
    const [{ id }] = body.data;
    expect(await page.getByLabel('Image: URL or id of a file').inputValue()).toBe(id);
    await page.keyboard.press('Control+Enter');
    await page.getByRole('link', { name: 'View prediction', exact: true }).waitFor();
    expect(new URL(page.url()).searchParams.get('image')).toBe(id);
    await expectAccessible(page, 'a form with a stored image');
    // A shared link has the id, and runs with it.
    const { page: other } = await browser.open(page.url());
    expect(await other.getByLabel('Image: URL or id of a file').inputValue()).toBe(id);
    await other.getByLabel('Image: URL or id of a file').press('Control+Enter');
    await other.getByText('From the cache.').waitFor();
    expect(faults).toEqual([]);
  });
});
