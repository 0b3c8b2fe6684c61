import { pino } from 'pino';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { engineOptions, floatRow, outputOf, versionFiles } from '../../../../tests/support/engine-versions.ts';
import { perceptron } from '../../../../tests/support/onnx-models.ts';
import { hasSoftwareGpu, noGpu, softwareGpu, useDrivers } from '../../../../tests/support/software-gpu.ts';
import { Devices } from './devices.ts';
import { createEnginePool, type PoolOptions } from './engine-pool.ts';
import type { VersionEngine } from './protocol/loaded-version.ts';

const files = versionFiles();
const logged: { msg: string; [field: string]: unknown }[] = [];
const log = pino({ level: 'debug' }, { write: (line: string) => void logged.push(JSON.parse(line)) });

beforeEach(() => {
  logged.length = 0;
});
afterAll(() => files.remove());

const devices = (...names: string[]) => new Devices({ names, log });

async function engineOf(found: Devices, settings: Parameters<Devices['choose']>[0]): Promise<VersionEngine> {
  const choice = await found.choose(settings);
  if ('reason' in choice) throw new Error(choice.reason);
  return choice.engine;
}

async function reasonOf(found: Devices, settings: Parameters<Devices['choose']>[0]): Promise<string> {
  const choice = await found.choose(settings);
  return 'reason' in choice ? choice.reason : '';
}

/** Runs one row of the perceptron in a pool of its own. */
async function run(engine: VersionEngine | undefined, more: Partial<PoolOptions> = {}) {
  const pool = createEnginePool(engineOptions({ log, ...more }));
  try {
    const [result] = await pool.run(files.versionOf(perceptron(), { engine }), [floatRow([1, 2], 3, 0.5)]);
    return { y: outputOf(result!).y?.data, loaded: pool.slots.map(({ loaded }) => loaded[0]?.provider) };
  } finally {
    await pool.close(0);
  }
}

describe('without a GPU', () => {
  useDrivers(noGpu);

  test('a version without providers uses cpu, and no device is tried', async () => {
    const found = devices();
    expect(found.known(undefined)).toEqual({
      engine: { providers: [{ name: 'cpu', ids: [0] }], threads: undefined, instances: undefined },
      peakBytes: 0,
    });
    expect(found.providers).toEqual(['cpu']);
    expect(logged).toEqual([]);
  });

  test('a missing provider is refused with the reason, the installation and the way to run on the CPU', async () => {
    const found = devices();
    const webgpu = await reasonOf(found, { providers: ['webgpu'] });
    expect(webgpu).toMatch(/^The version needs the provider webgpu \(Failed to get a WebGPU adapter/);
    expect(webgpu).toContain(
      'Install the Vulkan loader (libvulkan1) and the Vulkan driver of the GPU (docs/devices.md).',
    );
    expect(webgpu).toContain('Or name "cpu" as the last of the "providers" in model.json.');
    expect(await reasonOf(found, { providers: ['cuda'] })).toMatch(
      /the provider cuda \(.+\)\. Install CUDA 12, cuDNN 9 and .*--onnxruntime-node-install=cuda12 \(docs\/devices\.md\)/,
    );
    const coreml = await reasonOf(found, { providers: ['coreml'] });
    if (process.platform === 'linux') expect(coreml).toContain('onnxruntime-node for linux');
    expect(found.providers).toEqual(['cpu']);
  });

  test('a version that also names cpu runs there, and the missing device is in the log once', async () => {
    const found = devices();
    expect(found.known({ providers: ['webgpu', 'cpu'] })).toBeUndefined();
    const engine = await engineOf(found, { providers: ['webgpu', 'cpu'], threads: 1 });
    expect(engine).toMatchObject({ providers: [{ name: 'cpu', ids: [0] }], threads: 1 });
    expect(found.known({ providers: ['webgpu', 'cpu'] })).toBeDefined();
    expect(await run(engine)).toEqual({ y: [4, 0], loaded: ['cpu'] });
    expect(logged.filter(({ msg }) => msg === 'a device cannot be used')).toHaveLength(1);
  });

  test('ENGINE_DEVICES bounds the providers', async () => {
    expect(await reasonOf(devices('cpu'), { providers: ['cuda'] })).toBe(
      'The version needs the provider cuda (ENGINE_DEVICES of the worker has cpu). Add the device to ENGINE_DEVICES.' +
        ' Or name "cpu" as the last of the "providers" in model.json.',
    );
    expect(await reasonOf(devices('cuda:1'), undefined)).toContain('cpu (ENGINE_DEVICES of the worker has cuda)');
    expect(() => devices('gpu:0')).toThrow(
      "ENGINE_DEVICES may hold devices of cpu, cuda, tensorrt, webgpu, coreml, dml, and holds 'gpu:0'",
    );
  });

  test('an engine that cannot open the model on its first device uses the next, and the log has the reason', async () => {
    const providers = (['webgpu', 'cpu'] as const).map((name) => ({ name, ids: [0] }));
    expect(await run({ providers })).toEqual({ y: [4, 0], loaded: ['cpu'] });
    const loaded = logged.find(({ msg }) => msg === 'engine loaded');
    expect(loaded).toMatchObject({ level: 40, provider: 'cpu', refused: expect.stringMatching(/^webgpu: .*adapter/) });
  });
});

describe.runIf(hasSoftwareGpu)('with the software GPU of chromium', () => {
  useDrivers(softwareGpu);

  test('webgpu is found, runs the model and is reported', async () => {
    const found = devices('cpu', 'webgpu');
    const engine = await engineOf(found, { providers: ['webgpu', 'cpu'] });
    expect(engine.providers.map(({ name }) => name)).toEqual(['webgpu', 'cpu']);
    expect(found.providers).toEqual(['cpu', 'webgpu']);
    expect(await run(engine)).toEqual({ y: [4, 0], loaded: ['webgpu'] });
  });
});

test('a version with one instance is loaded by one engine, and other versions use the others meanwhile', async () => {
  const pool = createEnginePool(engineOptions({ engines: 3 }));
  try {
    const settings = { providers: [{ name: 'cpu' as const, ids: [0] }], threads: 1 };
    const single = files.versionOf(perceptron(), { engine: { ...settings, instances: 1 } });
    const other = files.versionOf(perceptron(), { model: 'other', engine: { ...settings, instances: 2 } });
    const row = floatRow([1, 2], 1, 1);
    const runs = Array.from({ length: 40 }, (_, at) => pool.run(at % 2 === 0 ? single : other, [row]));
    for (const results of await Promise.all(runs)) expect(outputOf(results[0]!).y?.data).toEqual([3, 0]);
    const loadedBy = (model: string) =>
      pool.slots.filter(({ loaded }) => loaded.some((one) => one.model === model)).length;
    expect(loadedBy('m')).toBe(1);
    expect(loadedBy('other')).toBe(2);
  } finally {
    await pool.close(0);
  }
});
