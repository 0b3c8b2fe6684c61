import { resolveModelConfig } from '@millrace/shared/model-files/model-config';
import type { ModelVersion, VersionState } from '@millrace/shared/registry/registry-types';
import pino from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { type Catalog, createCatalog } from './catalog.ts';

let registries: Record<string, ModelVersion[]> = {};
let prepared: string[] = [];
let released: string[] = [];
let catalog: Catalog;
let lines: Record<string, unknown>[] = [];
let defaultVersion: string | null = '1';
let aliases: Record<string, string> = {};

beforeEach(() => {
  lines = [];
  defaultVersion = '1';
  aliases = {};
  prepared = [];
  released = [];
  catalog = createCatalog({
    loadRegistry: async (tenant) => ({
      models: [{ model: 'm', versions: registries[tenant] ?? [], aliases, defaultVersion, cacheEpoch: 0 }],
    }),
    loadCanonicalizer: async ({ digest }) => {
      prepared.push(digest);
      return { convert: () => [{ shape: 'one', rows: [] }], release: () => released.push(digest) };
    },
    log: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
  });
});

const version = (digest: string, state: VersionState = 'ready'): ModelVersion => ({
  tenant: 'a',
  model: 'm',
  version: '1',
  digest,
  state,
  reason: null,
  signature: { inputs: [], outputs: [] },
  config: resolveModelConfig({}, {}),
  handlerDigest: null,
  inputSchema: null,
  outputSchema: null,
  entitySets: {},
  createdAt: 1,
});

/** Serves a request of each tenant after a change of the registry. */
async function serve(changed: Record<string, ModelVersion[]>): Promise<void> {
  registries = changed;
  catalog.changed();
  for (const tenant of Object.keys(changed)) await catalog.serving(tenant, 'm');
}

test('a canonicalizer is created once while a version of any tenant has its digest', async () => {
  await serve({ a: [version('old')], b: [version('old')] });
  await serve({ a: [version('old', 'draining')], b: [version('old')] });
  await serve({ a: [version('new')], b: [version('old')] });
  await serve({ a: [version('old')], b: [version('old')] });
  expect(prepared).toEqual(['old', 'new']);
});

test('a canonicalizer is released with the last version of its digest', async () => {
  await serve({ a: [version('old')] });
  await serve({ a: [version('new'), { ...version('old', 'retired'), version: '0' }] });
  await serve({ a: [version('old')] });
  expect(prepared).toEqual(['old', 'new', 'old']);
  expect(released).toEqual(['old', 'new']);
});

test('a change of the default version is logged with its cause', async () => {
  const both = [version('old'), { ...version('new'), version: '2' }];
  await serve({ a: both });
  expect(lines).toEqual([]);
  defaultVersion = '2';
  await serve({ a: both });
  await serve({ a: both });
  defaultVersion = '1';
  aliases = { production: '1' };
  await serve({ a: both });
  expect(lines).toMatchObject([
    { msg: 'the default version changed', tenant: 'a', model: 'm', from: '1', to: '2', cause: 'versions' },
    { msg: 'the default version changed', model: 'm', from: '2', to: '1', cause: 'alias' },
  ]);
});
