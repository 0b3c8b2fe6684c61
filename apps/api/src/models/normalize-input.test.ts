/** The keys of an input: two tenants never share a key on a model whose results are not shared, whatever the size of the input. */
import { resolveModelConfig } from '@millrace/shared/model-files/model-config';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { describe, expect, test } from 'vitest';
import { createCanonicalizer } from './canonicalizer.ts';
import type { ServedModel } from './catalog.ts';
import { flightOf, type Inputs, normalizeInput } from './normalize-input.ts';

async function served(scope: 'tenant' | 'public'): Promise<ServedModel> {
  const version: ModelVersion = {
    tenant: 'default',
    model: 'm',
    version: '1',
    digest: 'd'.repeat(64),
    state: 'ready',
    reason: null,
    signature: { inputs: [{ name: 'x', dtype: 'float32', shape: ['rows', 'items'] }], outputs: [] },
    config: { ...resolveModelConfig({ cache: { scope } }, {}), rowIndependent: true },
    handlerDigest: null,
    inputSchema: null,
    outputSchema: null,
    entitySets: {},
    createdAt: 1,
  };
  return {
    registered: { model: 'm', versions: [version], aliases: {}, defaultVersion: '1', cacheEpoch: 0 },
    version,
    // Raw tensors need none of the parts that a handler needs.
    canonicalizer: await createCanonicalizer(version, {} as Parameters<typeof createCanonicalizer>[1]),
  };
}

const row = (items: number, first = 1): { x: number[][] } => ({ x: [[first, ...new Array(items - 1).fill(0)]] });

const INPUTS: [size: string, body: Inputs][] = [
  ['one short row', { input: row(2) }],
  ['several rows in one tensor', { input: { x: [[1], [2], [3]] } }],
  ['several inputs', { inputs: [row(2), row(2, 5)] }],
  ['more inputs than one turn takes', { inputs: Array.from({ length: 600 }, (_, at) => row(1, at)) }],
  ['a long row', { input: row(300_000) }],
  ['a row that is hashed in several turns', { input: row(1_200_000) }],
];

describe.each(INPUTS)('the keys of %s', (_, body) => {
  const normalized = async (scope: 'tenant' | 'public', tenant: string) =>
    normalizeInput(await served(scope), body, { tenant, maxRows: 1_000, keyed: true });

  test('differ between tenants, and are the same for one tenant', async () => {
    const [acme, again, umbrella] = [
      await normalized('tenant', 'acme'),
      await normalized('tenant', 'acme'),
      await normalized('tenant', 'umbrella'),
    ];
    expect(acme.keys).toHaveLength(acme.rows.length);
    expect(acme.keys).toEqual(again.keys);
    expect(umbrella.rows).toEqual(acme.rows);
    expect(acme.keys.filter((key) => umbrella.keys.includes(key))).toEqual([]);
    expect(flightOf(acme, 'd', 0)).not.toBe(flightOf(umbrella, 'd', 0));
  });

  test('are the same for all tenants of a public model, and each tenant has a key of its own for its copies', async () => {
    const [acme, umbrella] = [await normalized('public', 'acme'), await normalized('public', 'umbrella')];
    expect(acme.keys).toEqual(umbrella.keys);
    const own = [acme.own, umbrella.own, ...acme.keys];
    expect(own).not.toContain(undefined);
    expect(new Set(own).size).toBe(own.length);
    expect(flightOf(acme, 'd', 0)).not.toBe(flightOf(umbrella, 'd', 0));
    expect((await normalized('public', 'default')).own).toBeUndefined();
  });
});

test('without a need for keys no row has a key', async () => {
  for (const [, body] of INPUTS)
    expect(
      (await normalizeInput(await served('tenant'), body, { tenant: 'a', maxRows: 1_000, keyed: false })).keys,
    ).toEqual([]);
});
