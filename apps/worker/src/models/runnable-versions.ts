/** A version that can be run here: what the registry says of it, and what engines need of it. */
import type { FoundVersion } from '@millrace/shared/model-files/model-folder';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { LoadedVersion } from '../engine/protocol/loaded-version.ts';
import { nameOf } from './folder-watch.ts';
import { handlerOf, readEntities } from './verifier.ts';

export interface ModelVersionHandle {
  version: ModelVersion;
  loaded: LoadedVersion;
}

/** Whether versions came or went, or changed their state or settings. */
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
