import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ReadThrough } from '@millrace/shared/cache/read-through';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { type Connection, waitForRedis } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import { loadOwnModels, setVersionState } from '@millrace/shared/registry/registry';
import { mismatchOf } from '@millrace/shared/registry/registry-mismatch';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { tensorRowText } from '@millrace/shared/tensors/tensor-rows';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Devices } from '../../apps/worker/src/engine/devices.ts';
import { createEnginePool, type EnginePool, poolOptions } from '../../apps/worker/src/engine/engine-pool.ts';
import { type ModelManager, startModelManager } from '../../apps/worker/src/models/model-manager.ts';
import { RegistryClient } from '../../apps/worker/src/models/registry-client.ts';
import { identity, perceptron } from '../support/onnx-models.ts';
import { useTestDatabase } from '../support/test-database.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis } from '../support/test-redis.ts';

const database = useTestDatabase();
let db: Pool;
let redis: Connection;
let engines: EnginePool;
let readThrough: ReadThrough;
let registry: RegistryClient;
let dir: string;
let models: ModelManager | undefined;
/** Ahead of the clock, so that a fresh file counts as settled. */
let aheadMs: number;
const logged: { msg: string; level: number }[] = [];
const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(JSON.parse(line)) });

beforeAll(async () => {
  db = createPool({ databaseUrl: database.url, max: 4, statementTimeoutMs: 10_000, applicationName: 'models' });
  redis = connectTestRedis('producer');
  await waitForRedis(redis, 'The test Redis', 5_000);
  engines = createEnginePool(poolOptions(loadConfig({ ENGINES: '1' }), log, 1));
});
afterAll(async () => {
  await engines.close(0);
  await Promise.all([redis.quit(), db.end()]);
});
beforeEach(async () => {
  await db.query('TRUNCATE models, model_versions, model_aliases CASCADE');
  dir = mkdtempSync(join(tmpdir(), 'millrace-models-'));
  const keys = keysFor(testPrefix());
  readThrough = new ReadThrough({ redis, keys, ttlMs: 60_000 });
  registry = new RegistryClient({ pool: db, redis, keys, readThrough });
  aheadMs = 5_000;
  logged.length = 0;
});
afterEach(async () => {
  await models?.close();
  models = undefined;
  readThrough.close();
  rmSync(dir, { recursive: true });
});

function put(path: string, content: Buffer | string): void {
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  writeFileSync(join(dir, path), content);
}

async function start(): Promise<ModelManager> {
  const config = loadConfig({ MODELS_DIR: dir, SCAN_MS: '3600000' });
  const devices = new Devices({ names: [], log });
  models = await startModelManager({ config, registry, pool: engines, devices, log, now: () => Date.now() + aheadMs });
  return models;
}

const states = async () =>
  Object.fromEntries(
    (await loadOwnModels(db, 'default')).flatMap(({ model, versions }) =>
      versions.map(({ version, state }) => [`${model}/${version}`, state]),
    ),
  );
const served = () =>
  models!
    .runnable()
    .map(({ version }) => `${version.model}/${version.version}`)
    .sort();

/** Scans until the condition holds. Every scan ends with a change or with nothing left to verify. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not reached: ${JSON.stringify(await states())}, served ${served()}`);
    const changed = Promise.withResolvers<void>();
    const off = models!.onChange(changed.resolve);
    await models!.scan();
    await Promise.race([changed.promise, new Promise((resolve) => setTimeout(resolve, 100))]);
    off();
  }
}
const untilState = (name: string, state: ModelVersion['state']) => until(async () => (await states())[name] === state);

describe('a model in the models folder', () => {
  test('is verified, registered and served without a restart', async () => {
    await start();
    expect(served()).toEqual([]);
    put('m/1/model.onnx', perceptron());
    await until(() => served().length === 1);
    expect(await states()).toEqual({ 'm/1': 'ready' });
    const [handle] = models!.runnable();
    expect(handle!.version.signature.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['n', 2] }]);
    expect(handle!.version.config).toMatchObject({ rowIndependent: true, maxBatch: 64 });
    const row = tensorRowText({ x: { dtype: 'float32', dims: [1, 2], data: Float32Array.of(1, 1) } });
    expect(await engines.run(handle!.loaded, [row])).toMatchObject([
      { ok: true, output: '{"y":{"dtype":"float32","shape":[1,2],"data":[3,0]}}' },
    ]);
  });

  test('is served at once by a later worker, without another verification', async () => {
    put('m/1/model.onnx', perceptron());
    await start();
    await until(() => served().length === 1);
    await models!.close();
    logged.length = 0;
    await start();
    await until(() => served().length === 1);
    expect(logged.map(({ msg }) => msg)).not.toContain('version ready');
  });

  test('that is still being written is left alone until it is complete', async () => {
    aheadMs = 0;
    await start();
    put('m/1/model.onnx', perceptron().subarray(0, 100));
    await models!.scan();
    put('m/1/model.onnx', perceptron());
    await models!.scan();
    expect(await states()).toEqual({});
    await untilState('m/1', 'ready');
    expect(logged.filter(({ level }) => level >= 40)).toEqual([]);
  });

  test('that cannot be loaded is failed with its reason, and can be fixed in place', async () => {
    put('bad/1/model.onnx', perceptron().subarray(0, 60));
    put('odd/1/model.onnx', perceptron());
    put('odd/model.json', '{"max_btach": 1}');
    put('good/1/model.onnx', perceptron());
    await start();
    await until(async () => Object.keys(await states()).length === 3 && (await states())['good/1'] === 'ready');
    expect(await states()).toEqual({ 'bad/1': 'failed', 'odd/1': 'failed', 'good/1': 'ready' });
    const reasons = (await registry.list()).map(({ model, reason }) => [model, reason]);
    expect(Object.fromEntries(reasons)).toEqual({
      bad: expect.stringContaining('truncated'),
      odd: 'odd/model.json: max_btach is not a field. Did you mean max_batch?',
      good: null,
    });
    put('bad/1/model.onnx', perceptron());
    put('odd/model.json', '{"max_batch": 1}');
    await until(() => served().length === 3);
  });
});

describe('a registered version', () => {
  beforeEach(async () => {
    put('m/1/model.onnx', perceptron());
    put('m/2/model.onnx', perceptron());
    await start();
    await until(() => served().length === 2);
  });

  test('is refused with other content and logged, and is served again with its own content', async () => {
    put('m/1/model.onnx', identity('float32', ['n']));
    await until(() => logged.some(({ msg }) => msg.includes('refused: this version is registered with other content')));
    expect(await states()).toEqual({ 'm/1': 'ready', 'm/2': 'ready' });
    expect(models!.mismatched().map(({ model, version }) => `${model}/${version}`)).toEqual(['m/1']);
    const [noted] = (await registry.list()).filter(({ version }) => version === '1');
    expect(mismatchOf(noted!)).toMatch(
      /^The files of m\/1 in the models folder have the digest [0-9a-f]{12}, but the version is registered with the digest [0-9a-f]{12}\. /,
    );
    put('m/1/model.onnx', perceptron());
    await until(() => models!.mismatched().length === 0);
    await until(async () => (await registry.list()).every((version) => mismatchOf(version) === null));
    expect(served()).toEqual(['m/1', 'm/2']);
  });

  test('accepts changes of settings that do not affect outputs', async () => {
    let changes = 0;
    models!.onChange(() => changes++);
    put('m/model.json', '{"timeout_ms": 1234, "max_batch": 7}');
    await until(() => models!.runnable().every(({ loaded }) => loaded.timeoutMs === 1234 && loaded.maxBatch === 7));
    expect(served()).toEqual(['m/1', 'm/2']);
    expect(changes).toBeGreaterThan(0);
  });

  test('drains and is retired when its folder is removed, and other versions stay', async () => {
    rmSync(join(dir, 'm/1'), { recursive: true });
    await untilState('m/1', 'draining');
    expect(served()).toEqual(['m/1', 'm/2']);
    await models!.scan();
    aheadMs += 60_000;
    await untilState('m/1', 'retired');
    await until(() => served().length === 1);
    expect(await states()).toEqual({ 'm/1': 'retired', 'm/2': 'ready' });
  });

  test('is ready again when its folder returns before the retirement', async () => {
    renameSync(join(dir, 'm/1'), join(dir, 'away'));
    await untilState('m/1', 'draining');
    renameSync(join(dir, 'away'), join(dir, 'm/1'));
    await untilState('m/1', 'ready');
    expect(served()).toEqual(['m/1', 'm/2']);
  });

  test('stays when the whole folder cannot be read', async () => {
    renameSync(dir, `${dir}-away`);
    for (let i = 0; i < 4; i++) await models!.scan();
    renameSync(`${dir}-away`, dir);
    expect(await states()).toEqual({ 'm/1': 'ready', 'm/2': 'ready' });
  });

  test('no longer runs when another process retires it', async () => {
    const version = { tenant: 'default', model: 'm', version: '1' };
    await setVersionState(db, version, { state: 'retired' });
    await until(() => served().length === 1);
    expect(served()).toEqual(['m/2']);
  });
});
