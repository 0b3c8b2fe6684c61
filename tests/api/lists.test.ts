/** Tests the form of the lists, and the entities of models. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type ApiResponse, ROOT_MODELS, useMillrace } from '../support/millrace.ts';

const MODEL = 'drug-interaction';
/** A copy of the model in which a drug has another key. */
const OTHER = 'other-drugs';
const DRUGS = 196;

let remove = async () => {};
const millrace = useMillrace(async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-entities-'));
  remove = () => rm(dir, { recursive: true, force: true });
  for (const name of [MODEL, OTHER]) await cp(path.join(ROOT_MODELS, MODEL), path.join(dir, name), { recursive: true });
  const file = path.join(dir, OTHER, 'entities/drug.csv');
  await writeFile(file, (await readFile(file, 'utf8')).replace(/^warfarin,/m, 'mine,'));
  return { modelsDir: dir, models: [MODEL, OTHER] };
});
afterAll(() => remove());

interface List {
  data: { name: string }[];
  next: string | null;
  has_more: boolean;
}

/** Reads a list page by page by its `Link`. */
async function names(first: string): Promise<string[]> {
  const all: string[] = [];
  for (let url: string | undefined = first; url; ) {
    const page: ApiResponse<List> = await millrace.request<List>(url);
    const { status, body, headers } = page;
    expect([status, body.has_more]).toEqual([200, body.next !== null]);
    all.push(...body.data.map(({ name }) => name));
    url = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1];
    expect(url === undefined).toBe(body.next === null);
  }
  return all;
}

describe('the entities of a model', () => {
  test('are all listed in pages', async () => {
    const all = await names(`/v1/models/${MODEL}/entities/drug?limit=50`);
    expect(new Set(all).size).toBe(DRUGS);
    expect(all).toHaveLength(DRUGS);
    expect(await names(`/v1/models/${MODEL}/versions/1/entities/drug`)).toEqual(all);
    expect(await names(`/v1/models/${MODEL}/entities/drug?limit=1000`)).toEqual(all);
  });

  test('do not affect the entities of another model', async () => {
    const keyOf = async (model: string) =>
      (await millrace.request(`/v1/models/${model}/entities/drug/Warfarin`)).body.key;
    expect([await keyOf(MODEL), await keyOf(OTHER)]).toEqual(['warfarin', 'mine']);
  });

  test('are found by a part of a name, or by a similar name', async () => {
    expect(await names(`/v1/models/${MODEL}/entities/drug?q=warf`)).toEqual(['Warfarin']);
    expect(await names(`/v1/models/${MODEL}/entities/drug?q=warfrin`)).toContain('Warfarin');
  });

  test('have their types and counts in a list', async () => {
    const { body } = await millrace.request(`/v1/models/${MODEL}/entities`);
    expect(body).toEqual({ data: [{ name: 'drug', count: DRUGS }], next: null, has_more: false });
  });

  test.each([
    [`/v1/models/${MODEL}/entities/planet`, 404, 'entity_type_not_found'],
    [`/v1/models/${MODEL}/entities/__proto__`, 404, 'entity_type_not_found'],
    [`/v1/models/${MODEL}/entities/drug/Nothing`, 404, 'entity_not_found'],
    [`/v1/models/nothing/entities/drug`, 404, 'model_not_found'],
    [`/v1/models/${MODEL}/versions/9/entities/drug`, 404, 'version_not_found'],
    [`/v1/models/${MODEL}/entities/drug?cursor=x`, 400, 'invalid_cursor'],
    [`/v1/models/${MODEL}/entities/drug?limit=0`, 400, 'invalid_request'],
    [`/v1/entities/drug`, 404, 'not_found'],
  ])('%s is %i %s', async (url, status, code) => {
    expect(await millrace.request(url)).toMatchObject({ status, body: { code } });
  });

  test('of another search do not continue with its cursor', async () => {
    const { body } = await millrace.request(`/v1/models/${MODEL}/entities/drug?limit=1`);
    const refused = await millrace.request(`/v1/models/${MODEL}/entities/drug?q=a&cursor=${body.next}`);
    expect(refused.body.code).toBe('invalid_cursor');
  });
});

test('models are listed by name, in pages', async () => {
  expect(await names('/v1/models?limit=1')).toEqual([MODEL, OTHER]);
  const { body } = await millrace.request(`/v1/models/${MODEL}`);
  expect(body.urls.versions).toBe(`/v1/models/${MODEL}/versions`);
  const versions = await millrace.request(body.urls.versions);
  expect(versions.body.data).toMatchObject([{ model: MODEL, version: '1', status: 'ready' }]);
});
