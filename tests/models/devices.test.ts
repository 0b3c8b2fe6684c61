import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { perceptron } from '../support/onnx-models.ts';
import { hasSoftwareGpu, noGpu, softwareGpu } from '../support/software-gpu.ts';
import type { WorkerProcess } from '../support/worker-process.ts';

const modelsDir = mkdtempSync(path.join(tmpdir(), 'millrace-devices-'));
const MODELS = {
  plain: {},
  either: { engine: { providers: ['webgpu', 'cpu'], threads: 1, instances: 1 } },
  gpu: { engine: { providers: ['webgpu'] } },
};
const millrace = useMillrace(async () => {
  for (const [model, file] of Object.entries(MODELS)) {
    const folder = path.join(modelsDir, model, '1');
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'model.onnx'), perceptron());
    await writeFile(path.join(modelsDir, model, 'model.json'), JSON.stringify(file));
  }
  return { modelsDir, models: ['plain', 'either'], env: { WORKER_MODELS: '', ...noGpu } };
});
afterAll(() => rmSync(modelsDir, { recursive: true }));

const UNTIL = { timeout: 60_000, interval: 100 };
const LONG = { timeout: 180_000 };
const versionOf = async (model: string) => (await millrace.request(`/v1/models/${model}/versions/1`)).body;
const degradedOf = async ({ url }: WorkerProcess): Promise<string[]> =>
  ((await (await fetch(`${url}/readyz`)).json()) as { degraded?: string[] }).degraded ?? [];

async function predict(model: string, value: number) {
  const input = { x: [[value, 0.5]] };
  const { body } = await millrace.predict(model, { input }, { prefer: 'wait=30', 'cache-control': 'no-store' });
  return body.output?.y?.data;
}

test('without the device a version fails with the reason, unless the version names cpu too', LONG, async () => {
  await vi.waitFor(async () => {
    const { status, reason, providers } = await versionOf('gpu');
    expect({ status, providers }).toEqual({ status: 'failed', providers: [] });
    expect(reason).toContain('The version needs the provider webgpu (');
    expect(reason).toContain('Install the Vulkan loader (libvulkan1)');
  }, UNTIL);
  await vi.waitFor(async () => {
    expect(await versionOf('either')).toMatchObject({
      status: 'ready',
      engine: { providers: ['webgpu', 'cpu'], threads: 1, instances: 1 },
      providers: ['cpu'],
    });
    expect((await millrace.request('/v1/models/either')).body.providers).toEqual(['cpu']);
    expect((await millrace.request('/v2/models/either')).body.parameters).toEqual({ execution_providers: ['cpu'] });
  }, UNTIL);
  expect(await versionOf('plain')).toMatchObject({ engine: { providers: ['cpu'], threads: null, instances: null } });
  expect(await predict('either', 3)).toEqual([4, 0]);
  const [worker] = millrace.workers as [WorkerProcess];
  expect(await worker.metric('millrace_engine_loaded_versions', 'model="either",version="1",provider="cpu"')).toBe(1);
});

describe.runIf(hasSoftwareGpu)('a worker with a device beside the worker without it', () => {
  test('registers the version, runs it and reports the provider', LONG, async () => {
    const [without] = millrace.workers as [WorkerProcess];
    const worker = await millrace.startWorker({ ...softwareGpu, ENGINE_DEVICES: 'webgpu' });
    await vi.waitFor(async () => {
      expect(await versionOf('gpu')).toMatchObject({ status: 'ready', reason: null, providers: ['webgpu'] });
      expect((await versionOf('either')).providers).toEqual(['cpu', 'webgpu']);
      // ENGINE_DEVICES of this worker leaves out cpu.
      expect((await versionOf('plain')).providers).toEqual(['cpu']);
      expect((await millrace.request('/v2/models/gpu')).body.parameters).toEqual({ execution_providers: ['webgpu'] });
    }, UNTIL);
    expect(await Promise.all([1, 2, 3].map((value) => predict('gpu', value)))).toEqual([
      [2, 0],
      [3, 0],
      [4, 0],
    ]);
    expect(await worker.metric('millrace_engine_loaded_versions', 'model="gpu",version="1",provider="webgpu"')).toBe(1);
    expect(await worker.metric('millrace_engine_resident_bytes', 'provider="webgpu"')).toBeGreaterThan(0);
    await vi.waitFor(async () => {
      expect(await degradedOf(without)).toEqual([
        expect.stringMatching(/^gpu\/1 cannot run here\. The version needs the provider webgpu \(/),
      ]);
    }, UNTIL);
    const workers = (await millrace.request('/v1/workers')).body.data;
    const here = workers.find(({ providers }: { providers: string[] }) => providers.includes('webgpu'));
    expect(here.models).toContainEqual({ name: 'gpu', version: '1', providers: ['webgpu'] });
  });
});
