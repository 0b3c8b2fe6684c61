/** Starts Millrace with small models of known outputs for the tests of a file: see model-folder.ts. */
import { afterAll } from 'vitest';
import { type Millrace, useMillrace } from './millrace.ts';
import { makeModelFolder, type SmallModel } from './model-folder.ts';

/** `env`: further settings of API and workers. */
export function useSmallModels(models: readonly SmallModel[], env: Readonly<Record<string, string>> = {}): Millrace {
  let remove = async () => {};
  // The last hook of a file runs first: Millrace is closed before the folder is removed.
  afterAll(() => remove());
  return useMillrace(async () => {
    const folder = await makeModelFolder(models);
    remove = folder.remove;
    return { modelsDir: folder.dir, models, env };
  });
}
