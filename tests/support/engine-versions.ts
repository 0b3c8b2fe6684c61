/** Versions and rows for engine tests without a registry. */
import { hash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Text } from '@millrace/shared/predictions/long-text';
import { tensorRowText } from '@millrace/shared/tensors/tensor-rows';
import { pino } from 'pino';
import type { PoolOptions } from '../../apps/worker/src/engine/engine-pool.ts';
import type { LoadedVersion } from '../../apps/worker/src/engine/protocol/loaded-version.ts';

export const MIB = 1_048_576;

/** One engine with enough resources for all tests. */
export const engineOptions = (more: Partial<PoolOptions> = {}): PoolOptions => ({
  engines: 1,
  threads: 1,
  depth: 1,
  recycleBytes: 2_048 * MIB,
  memoryLimitBytes: 2_048 * MIB,
  loadTimeoutMs: 20_000,
  idleMs: 0,
  idlePerStart: 1,
  log: pino({ level: 'silent' }),
  ...more,
});

/** Writes model files to a folder that engines can read. `remove` deletes the folder. */
export function versionFiles() {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-engines-'));
  let files = 0;
  return {
    versionOf(bytes: Buffer, more: Partial<LoadedVersion> = {}): LoadedVersion {
      const path = join(dir, `${files++}.onnx`);
      writeFileSync(path, bytes);
      const model = { path, bytes: bytes.length, digest: hash('sha256', bytes, 'hex') };
      const signature = { inputs: [], outputs: [] };
      const rest = { handler: null, entities: {}, labels: {}, maxBatch: 64, timeoutMs: 10_000, signature };
      return { key: path, model: 'm', version: '1', content: { model, data: [] }, ...rest, ...more };
    },
    remove: () => rmSync(dir, { recursive: true }),
  };
}

export const longRow = (value: number): string =>
  tensorRowText({ x: { dtype: 'int64', dims: [1], data: BigInt64Array.of(BigInt(value)) } });

export const floatRow = (dims: number[], ...values: number[]): string =>
  tensorRowText({ x: { dtype: 'float32', dims, data: Float32Array.from(values) } });

export const outputOf = (result: { ok: boolean; output?: Text }) =>
  JSON.parse(String(result.output ?? 'null')) as Record<string, { data: unknown[]; shape: number[] }>;
