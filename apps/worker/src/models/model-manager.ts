/**
 * The models of this worker. Scans the models folder, verifies and registers new versions, and lists the versions that this worker
 * can run: versions that are ready or draining in the registry, with files of the registered digest in the folder.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { FoundVersion } from '@millrace/shared/model-files/model-folder';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Config } from '@millrace/shared/process/config';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import type { Logger } from 'pino';
import type { EnginePool } from '../engine/engine-pool.ts';
import type { LoadedVersion } from '../engine/protocol/loaded-version.ts';
import { FolderWatch, nameOf } from './folder-watch.ts';
import { brokenVersion, GONE, registerFound, retireDrained } from './register-version.ts';
import type { RegistryClient } from './registry-client.ts';
import { differ, loadedVersion, type ModelVersionHandle } from './runnable-versions.ts';
import { createVerifier } from './verifier.ts';
import { isVerified } from './verify-again.ts';

export type { ModelVersionHandle };

export interface Models {
  /** Versions that this worker can run now, in no order. Every change makes a new array. */
  ready(): readonly ModelVersionHandle[];
  /** Versions in service whose files in the folder differ from the registered files. Every scan makes a new array. */
  mismatched(): readonly ModelVersion[];
  /** Calls `callback` after every change of `ready()`. The returned function removes the callback. */
  onChange(callback: () => void): () => void;
  /** Reads the folder and the registry now instead of at the next interval. Faults are logged, never thrown. */
  refresh(): Promise<void>;
  /** Reads the registry alone, after an announced change. */
  relist(): Promise<void>;
  close(): Promise<void>;
}

export interface ModelsDeps {
  config: Pick<Config, 'modelsDir' | 'workerModels' | 'scanMs' | 'loadMemoryMb' | 'loadTimeoutMs'>;
  registry: RegistryClient;
  pool: EnginePool;
  log: Logger;
  now?: () => number;
  /** Whether predictions of a version still wait. A draining version without waiting predictions is retired. */
  hasWork?: (version: ModelVersion) => Promise<boolean>;
}

// With more versions than this, loading all of them into every engine takes longer than the first requests can wait.
const PRELOAD_MAX = 16;
// Each of a thousand versions that become ready one after the other causes a read of all the others. A pause of REST times the
// duration follows each read.
const REST = 4;
const REST_MAX_MS = 1_000;
const SHORT_MS = 10;
const VERIFIED_AGAIN_MAX = 5;
const MIB = 1_048_576;

/** Resolves after the first scan: registered versions can run then. New versions are verified afterwards. */
export async function startModels(deps: ModelsDeps): Promise<Models> {
  const { config, registry, pool, log, now = sharedNow } = deps;
  const watch = new FolderWatch(config.modelsDir, config.workerModels);
  const verifier = createVerifier({
    memoryBytes: config.loadMemoryMb * MIB,
    timeoutMs: config.loadTimeoutMs,
    log,
  });
  const local = new Map<string, FoundVersion>();
  const handles = new Map<string, ModelVersionHandle>();
  const callbacks = new Set<() => void>();
  const verifying = new Map<string, Promise<void>>();
  /** Number of repeated verifications by digest, of versions whose findings the registry has lost. */
  const verifiedAgain = new Map<string, number>();
  let ready: readonly ModelVersionHandle[] = [];
  let mismatched: readonly ModelVersion[] = [];
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let scanning: Promise<void> | undefined;
  let settling: Promise<void> = Promise.resolve();
  let relisting: Promise<void> | undefined;
  let nextList: Promise<void> | undefined;
  let restMs = 0;

  async function scanFolder(): Promise<void> {
    const registered = await registry.list();
    const byName = new Map(registered.map((version) => [nameOf(version), version]));
    const news = await watch.scan(now(), (seen) => {
      const known = byName.get(nameOf(seen));
      // Millrace 0.1.0 registered this version. Its digest leaves out the files that a handler names.
      const found = known?.digest === seen.before.digest ? { ...seen, ...seen.before } : seen;
      local.set(nameOf(found), found);
      admit(found, known);
    });
    for (const { path, message } of news.problems) log.warn({ path, reason: message }, 'models folder');
    for (const { files, reason } of news.broken) {
      log.warn({ model: files.model, version: files.version, reason }, 'version cannot be read');
      await registry.register(brokenVersion(files, reason, now()));
    }
    for (const name of news.gone) {
      local.delete(name);
      const version = byName.get(name);
      if (version?.state === 'ready') await registry.setState(version, 'draining', GONE);
    }
    await retireDrained(registry, registered, now(), deps.hasWork);
    await relist();
  }

  /**
   * Runs one read at a time, and one more read for all calls during that read. Resolves when the versions that were in the registry at
   * the call are settled, whatever the number of later calls.
   */
  function relist(): Promise<void> {
    if (relisting === undefined) {
      relisting = list();
      return relisting;
    }
    nextList ??= relisting
      .then(() => delay(restMs, undefined, { ref: false }))
      .then(() => {
        nextList = undefined;
        relisting = list();
        return relisting;
      });
    return nextList;
  }

  async function list(): Promise<void> {
    const started = performance.now();
    try {
      if (!closed) await settle(await registry.list());
    } catch (error) {
      if (!closed) log.error({ err: error }, 'the registry cannot be reached');
    } finally {
      const tookMs = performance.now() - started;
      restMs = closed || tookMs < SHORT_MS ? 0 : Math.min(REST * tookMs, REST_MAX_MS);
      if (nextList === undefined) relisting = undefined;
    }
  }

  /** Verifies a version that is new to the registry. The scan does not wait for the verification. */
  function admit(found: FoundVersion, known: ModelVersion | undefined): void {
    const name = nameOf(found);
    if (verifying.has(name)) {
      watch.forget(name);
      return;
    }
    const work = registerFound({ found, known, registry, verifier, log, now })
      .then(async (changed) => {
        if (changed && !closed) await relist();
      })
      .catch((error: unknown) => {
        // The registry is probably unreachable. The next scan tries again.
        watch.forget(name);
        if (!closed) log.error({ err: error, model: found.model, version: found.version }, 'version not registered');
      })
      .finally(() => verifying.delete(name));
    verifying.set(name, work);
  }

  /** A worker of an earlier release registers settings without findings. Finds them again, VERIFIED_AGAIN_MAX times at most. */
  function verifyUnverified(name: string, version: ModelVersion): void {
    const found = local.get(name);
    if (found?.digest !== version.digest || isVerified(found, version) || verifying.has(name)) return;
    const times = verifiedAgain.get(version.digest) ?? 0;
    if (times === VERIFIED_AGAIN_MAX) return;
    verifiedAgain.set(version.digest, times + 1);
    admit(found, version);
  }

  /** Runs one update at a time: a scan and a verification can end together. */
  function settle(registered: readonly ModelVersion[]): Promise<void> {
    settling = settling
      .then(() => bring(registered))
      .catch((error: unknown) => log.error({ err: error }, 'the models were not updated'));
    return settling;
  }

  /** Updates the handles from the registry and the folder. */
  async function bring(registered: readonly ModelVersion[]): Promise<void> {
    const before = ready;
    const wanted = new Map<string, ModelVersion>();
    for (const version of registered)
      if (version.state === 'ready' || version.state === 'draining') wanted.set(nameOf(version), version);
    for (const [name, handle] of handles) {
      if (wanted.get(name)?.digest === handle.version.digest) continue;
      handles.delete(name);
      // Another name can have the same files.
      if (![...handles.values()].some(({ loaded }) => loaded.key === handle.loaded.key))
        void pool.unload(handle.loaded.key);
    }
    const fresh: LoadedVersion[] = [];
    for (const [name, version] of wanted) {
      verifyUnverified(name, version);
      const handle = handles.get(name);
      const found = local.get(name);
      const sameSettings = handle && canonicalJson(handle.version.config) === canonicalJson(version.config);
      if (handle !== undefined && sameSettings) handles.set(name, { ...handle, version });
      else if (found?.digest === version.digest) {
        try {
          const loaded = await loadedVersion(found, version);
          handles.set(name, { version, loaded });
          fresh.push(loaded);
        } catch (error) {
          // The files were removed meanwhile. The next scan reports the version.
          log.warn({ err: error, model: version.model, version: version.version }, 'version cannot be read');
        }
      }
    }
    ready = [...handles.values()];
    mismatched = [...wanted].flatMap(([name, version]) => {
      const found = local.get(name);
      return found === undefined || found.digest === version.digest ? [] : [{ ...version, foundDigest: found.digest }];
    });
    if (ready.length <= PRELOAD_MAX)
      await Promise.all(
        fresh.map((loaded) =>
          pool.warm(loaded).catch((error: unknown) => log.warn({ err: error, model: loaded.model }, 'not preloaded')),
        ),
      );
    if (differ(before, ready)) for (const callback of callbacks) callback();
  }

  const refresh = (): Promise<void> => {
    scanning ??= scanFolder()
      .catch((error: unknown) => {
        if (!closed) log.error({ err: error }, 'the models folder or the registry cannot be reached');
      })
      .finally(() => {
        scanning = undefined;
      });
    return scanning;
  };

  const schedule = (afterMs: number): void => {
    timer = setTimeout(() => void scan(), afterMs).unref();
  };
  const scan = async (): Promise<void> => {
    const started = performance.now();
    await refresh();
    if (!closed) schedule(Math.max(config.scanMs, REST * (performance.now() - started)));
  };

  await scan();
  return {
    ready: () => ready,
    mismatched: () => mismatched,
    onChange(callback) {
      callbacks.add(callback);
      return () => callbacks.delete(callback);
    },
    refresh,
    relist,
    async close() {
      closed = true;
      clearTimeout(timer);
      await verifier.close();
      await Promise.all([scanning, ...verifying.values()]);
    },
  };
}
