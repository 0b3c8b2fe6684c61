/** Creates a models folder of small models with known outputs. */
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { identity, peak, perceptron, repeater, spinner } from './onnx-models.ts';

const MODELS = {
  /** y = relu(x · [[1, -1], [2, -2]]) for x of float32[n, 2]. Each row is cached. */
  rows: { file: perceptron, config: { description: 'Rows.', row_independent: true, max_batch: 64 } },
  /** y = x for x of int64[n], after as many iterations of a loop as the largest x. */
  slow: { file: spinner, config: { description: 'Slow.', max_batch: 1, timeout_ms: 60_000 } },
  /** The same model with a short timeout. */
  stuck: { file: spinner, config: { description: 'Stuck.', max_batch: 1, timeout_ms: 500 } },
  /** y = x for x of int64[2]. */
  echo: { file: () => identity('int64', [2]), config: { description: 'Echo.' } },
  /** The same model. All tenants share its results. */
  public: { file: () => identity('int64', [2]), config: { description: 'Public.', cache: { scope: 'public' } } },
  /** y = x for images of float32[n, h, w, c]. */
  image: {
    file: () => identity('float32', ['n', 'h', 'w', 'c']),
    config: { description: 'Image.', cache: { enabled: false } },
  },
  /** y = x for x of float64[n]. */
  doubles: { file: () => identity('float64', ['n']), config: { description: 'Doubles.', row_independent: false } },
  /** y = x for x of int64[n]. */
  longs: { file: () => identity('int64', ['n']), config: { description: 'Longs.', row_independent: false } },
  /** y = the number of a row, 180,000 times: about 2 MB of JSON for a number with nine digits. */
  large: { file: () => repeater(180_000), config: { description: 'Large.', row_independent: true, max_batch: 4 } },
  /** y = the largest number of a matrix of 4 MiB. */
  peak: {
    file: () => peak(1_024, 1_024),
    config: { description: 'Peak.', row_independent: true, max_batch: 8 },
  },
  /** 1,920,000 times: some 21 MB of JSON. */
  huge: { file: () => repeater(1_920_000), config: { description: 'Huge.', row_independent: true, max_batch: 1 } },
} as const;

export type SmallModel = keyof typeof MODELS;

const ROOT = path.resolve(import.meta.dirname, '../..');

/** `remove` deletes the folder. `bundled`: models of the repository, which the folder has as well. */
export async function makeModelFolder(
  names: readonly SmallModel[],
  bundled: readonly string[] = [],
): Promise<{ dir: string; remove(): Promise<void> }> {
  const parent = await mkdtemp(path.join(tmpdir(), 'millrace-models-'));
  const dir = path.join(parent, 'models');
  await mkdir(dir);
  // The handlers of the copies import packages.
  await symlink(path.join(ROOT, 'node_modules'), path.join(parent, 'node_modules'));
  for (const name of bundled) await cp(path.join(ROOT, 'models', name), path.join(dir, name), { recursive: true });
  for (const name of names) {
    const { file, config } = MODELS[name];
    await mkdir(path.join(dir, name, '1'), { recursive: true });
    await writeFile(path.join(dir, name, '1', 'model.onnx'), file());
    await writeFile(path.join(dir, name, 'model.json'), JSON.stringify(config));
  }
  return { dir, remove: () => rm(parent, { recursive: true, force: true }) };
}
