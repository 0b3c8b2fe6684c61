/** A version that this worker can run: its registry entry, and the files and settings that engines load. */
import type { FoundVersion } from '@millrace/shared/model-files/model-folder';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { LoadedVersion } from '../engine/protocol/loaded-version.ts';
import { nameOf } from './folder-watch.ts';
import { handlerOf, readEntities } from './verifier.ts';

export interface ModelVersionHandle {
  version: ModelVersion;
  loaded: LoadedVersion;
}

/** Whether versions were added, removed, or changed in state or settings. */
export function differ(before: readonly ModelVersionHandle[], after: readonly ModelVersionHandle[]): boolean {
  const old = new Map(before.map((handle) => [nameOf(handle.version), handle]));
  return (
    before.length !== after.length ||
    after.some(({ version, loaded }) => {
      const was = old.get(nameOf(version));
      return was?.loaded !== loaded || was.version.state !== version.state;
    })
  );
}

/** What engines need of a version: files from here, settings from the registry, so that all workers agree. */
export async function loadedVersion(found: FoundVersion, version: ModelVersion): Promise<LoadedVersion> {
  const { config, signature, digest, model } = version;
  return {
    key: digest,
    model,
    version: version.version,
    content: found.content,
    handler: handlerOf(found),
    entities: await readEntities(found),
    labels: config.labels,
    maxBatch: config.rowIndependent ? config.maxBatch : 1,
    timeoutMs: config.timeoutMs,
    signature,
  };
}
