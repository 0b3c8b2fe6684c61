import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { removeAlias, retireVersion, setAlias } from '@millrace/shared/registry/aliases';
import { bumpCacheEpoch, loadRegistry, registerVersion, setVersionState } from '@millrace/shared/registry/registry';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { useTestDatabase } from '../support/test-database.ts';
import { modelVersion } from './versions.ts';

const database = useTestDatabase();
let pool: Pool;
beforeAll(() => {
  pool = createPool({ databaseUrl: database.url, max: 20, statementTimeoutMs: 10_000, applicationName: 'registry' });
});
afterAll(() => pool.end());
beforeEach(async () => {
  await pool.query('TRUNCATE models, model_versions, model_aliases CASCADE');
});

const version = (name: string) => ({ tenant: 'default', model: 'm', version: name });
const aliasOf = (alias: string) => ({ tenant: 'default', model: 'm', alias });

async function onlyModel(tenant = 'default') {
  const { models } = await loadRegistry(pool, tenant);
  expect(models).toHaveLength(1);
  return models[0]!;
}

describe('a version', () => {
  test('is read back as registered, with the order of its schema', async () => {
    const given = modelVersion({ outputSchema: null, entitySets: { drug: 'b'.repeat(64) } });
    expect(await registerVersion(pool, given)).toEqual({ outcome: 'registered', state: 'ready' });
    const model = await onlyModel();
    expect(model).toEqual({
      model: 'm',
      versions: [{ ...given, foundDigest: null }],
      aliases: {},
      defaultVersion: '1',
      cacheEpoch: 0,
    });
    expect(JSON.stringify(model.versions[0]!.inputSchema)).toBe(JSON.stringify(given.inputSchema));
  });

  test('is registered by one of twenty workers and known to the others', async () => {
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => registerVersion(pool, modelVersion())));
    const count = (wanted: string) => outcomes.filter(({ outcome }) => outcome === wanted).length;
    expect([count('registered'), count('known')]).toEqual([1, 19]);
  });

  test('is refused with a different digest, also in a race', async () => {
    const digests = Array.from({ length: 20 }, (_, i) => String(i % 10).repeat(64));
    const settled = await Promise.allSettled(digests.map((digest) => registerVersion(pool, modelVersion({ digest }))));
    const kept = (await onlyModel()).versions[0]!.digest;
    settled.forEach((outcome, i) => {
      if (digests[i] === kept) expect(outcome.status).toBe('fulfilled');
      else expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'digest_mismatch' } });
    });
  });

  test('accepts new settings that do not affect outputs', async () => {
    await registerVersion(pool, modelVersion());
    const changed = modelVersion({ config: { ...modelVersion().config, maxBatch: 32 } });
    expect(await registerVersion(pool, changed)).toEqual({ outcome: 'updated', state: 'ready' });
    expect((await onlyModel()).versions[0]!.config.maxBatch).toBe(32);
  });

  test('reports whether its state changed, and a ready version does not return to loading', async () => {
    await registerVersion(pool, modelVersion({ state: 'loading' }));
    expect(await setVersionState(pool, version('1'), { state: 'failed', reason: 'no memory' })).toBe(true);
    expect(await setVersionState(pool, version('1'), { state: 'failed', reason: 'no memory' })).toBe(false);
    expect((await onlyModel()).versions[0]).toMatchObject({ state: 'failed', reason: 'no memory' });
    expect(await setVersionState(pool, version('1'), { state: 'ready' })).toBe(true);
    expect(await setVersionState(pool, version('1'), { state: 'loading' })).toBe(false);
    expect((await onlyModel()).versions[0]).toMatchObject({ state: 'ready', reason: null });
  });
});

describe('the default version', () => {
  beforeEach(async () => {
    for (const name of ['2', '10', '9']) await registerVersion(pool, modelVersion({ version: name }));
  });

  test('is the highest ready version by number', async () => {
    expect((await onlyModel()).versions.map((each) => each.version)).toEqual(['2', '9', '10']);
    expect((await onlyModel()).defaultVersion).toBe('10');
    await setVersionState(pool, version('10'), { state: 'failed', reason: 'bad' });
    expect((await onlyModel()).defaultVersion).toBe('9');
  });

  test('is the version of the alias production', async () => {
    await setAlias(pool, aliasOf('production'), '2');
    await setAlias(pool, aliasOf('next'), '9');
    expect(await onlyModel()).toMatchObject({ defaultVersion: '2', aliases: { production: '2', next: '9' } });
    await setAlias(pool, aliasOf('production'), '9');
    expect((await onlyModel()).defaultVersion).toBe('9');
    expect(await removeAlias(pool, { tenant: 'default', model: 'm', alias: 'production' })).toBe(true);
    expect(await removeAlias(pool, { tenant: 'default', model: 'm', alias: 'production' })).toBe(false);
    expect((await onlyModel()).defaultVersion).toBe('10');
  });

  test('is null when no version is ready', async () => {
    for (const name of ['2', '10', '9']) await retireVersion(pool, version(name));
    expect((await onlyModel()).defaultVersion).toBeNull();
  });
});

describe('an alias', () => {
  beforeEach(async () => {
    await registerVersion(pool, modelVersion());
  });

  test('cannot point to a missing or retired version', async () => {
    await expect(setAlias(pool, aliasOf('a'), '7')).rejects.toMatchObject({ code: 'version_not_found' });
    await retireVersion(pool, version('1'));
    await expect(setAlias(pool, aliasOf('a'), '1')).rejects.toMatchObject({ code: 'version_failed' });
    expect(await setVersionState(pool, version('1'), { state: 'ready' })).toBe(false);
  });

  test('cannot point to a failed version, and the error has the reason of the failure', async () => {
    await registerVersion(pool, modelVersion({ version: '2', state: 'failed', reason: 'It is truncated.' }));
    await expect(setAlias(pool, aliasOf('production'), '2')).rejects.toMatchObject({
      code: 'version_failed',
      message: expect.stringContaining('failed: It is truncated.'),
    });
  });

  test('changes only if its guard agrees, also when two changes run at once', async () => {
    await registerVersion(pool, modelVersion());
    await registerVersion(pool, modelVersion({ version: '2' }));
    const seen: (string | null)[] = [];
    const onlyNew = (alias: string) => ({
      ...aliasOf(alias),
      guard: (held: string | null) => {
        seen.push(held);
        if (held !== null) throw new Error(`points at ${held}`);
      },
    });
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, at) => setAlias(pool, onlyNew('canary'), String((at % 2) + 1))),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(seen.filter((held) => held === null)).toHaveLength(1);
    await expect(removeAlias(pool, onlyNew('canary'))).rejects.toThrow('points at');
    expect(await removeAlias(pool, aliasOf('canary'))).toBe(true);
  });

  test('prevents the retirement of its version, in either order of the two calls', async () => {
    for (let round = 0; round < 20; round++) {
      const name = version(`r${round}`);
      await registerVersion(pool, modelVersion({ version: name.version }));
      const [alias, retirement] = await Promise.allSettled([
        setAlias(pool, aliasOf(`alias-${round}`), name.version),
        retireVersion(pool, name),
      ]);
      expect([alias.status, retirement.status].sort()).toEqual(['fulfilled', 'rejected']);
    }
  });
});

test("a tenant has its own models, and the default tenant's models under all other names", async () => {
  await registerVersion(pool, modelVersion({ model: 'shared' }));
  await registerVersion(pool, modelVersion({ model: 'both' }));
  await registerVersion(pool, modelVersion({ model: 'both', tenant: 'other', version: '5' }));
  const { models } = await loadRegistry(pool, 'other');
  expect(models.map(({ model, defaultVersion }) => [model, defaultVersion])).toEqual([
    ['both', '5'],
    ['shared', '1'],
  ]);
  expect((await loadRegistry(pool, 'default')).models).toHaveLength(2);
});

test('a purge raises the epoch of only its model', async () => {
  await registerVersion(pool, modelVersion());
  const epochs = await Promise.all(Array.from({ length: 10 }, () => bumpCacheEpoch(pool, 'default', 'm')));
  expect(epochs.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect((await onlyModel()).cacheEpoch).toBe(10);
  await expect(bumpCacheEpoch(pool, 'default', 'none')).rejects.toMatchObject({ code: 'model_not_found' });
});
