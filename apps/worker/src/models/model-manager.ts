/**
 * The models of this worker: finds them in the folder, verifies and registers what is new, and tells which versions can
 * be run here. A version is run when it is ready (or draining) in the registry and its files here have its digest.
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
  /** Versions that can be run here now, in no order. The array is new after every change. */
  ready(): readonly ModelVersionHandle[];
  /** Versions in service whose files here are others than the registered ones. The array is new after every look. */
  mismatched(): readonly ModelVersion[];
  /** Calls back after every change of `ready()`; the function it gives back ends that. */
  onChange(callback: () => void): () => void;
  /** Looks at the folder and the registry now instead of at the next interval. Rejects only on a bug. */
  refresh(): Promise<void>;
  /** Looks at the registry alone: for who is told that it has changed. */
  relist(): Promise<void>;
  close(): Promise<void>;
}

export interface ModelsDeps {
  config: Pick<Config, 'modelsDir' | 'workerModels' | 'scanMs' | 'loadMemoryMb' | 'loadTimeoutMs'>;
  registry: RegistryClient;
  pool: EnginePool;
  log: Logger;
  now?: () => number;
  /** Whether predictions of a version still wait; a draining one is retired when none does. */
  hasWork?: (version: ModelVersion) => Promise<boolean>;
}

// Loading every one of a great many models into every engine would take longer than the first requests can wait.
const PRELOAD_MAX = 16;
// Each of a thousand versions that become ready one after the other would list all the others: what takes long is given
// a rest as many times as long.
const REST = 4;
const REST_MAX_MS = 1_000;
const SHORT_MS = 10;
const VERIFIED_AGAIN_MAX = 5;
const MIB = 1_048_576;

/** Looks once before it resolves: what was registered before can be run then; what is new is verified afterwards. */
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
  /** By digest, how often a version was verified again because the registry had lost its findings. */
  const verifiedAgain = new Map<string, number>();
  let ready: readonly ModelVersionHandle[] = [];
  let mismatched: readonly ModelVersion[] = [];
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let settling: Promise<void> = Promise.resolve();
  let relisting: Promise<void> | undefined;
  let nextList: Promise<void> | undefined;
  let restMs = 0;

  async function look(): Promise<void> {
    const registered = await registry.list();
    const byName = new Map(registered.map((version) => [nameOf(version), version]));
    const news = await watch.look(now(), (seen) => {
      const known = byName.get(nameOf(seen));
      // Registered by 0.1.0, whose digest leaves out the files that a handler names.
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
   * One at a time, and one more for all who ask meanwhile. Resolves when what was in the registry at the call is settled,
   * however many go on asking.
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
      if (!closed) log.error({ err: error }, 'registry out of reach');
    } finally {
      const tookMs = performance.now() - started;
      restMs = closed || tookMs < SHORT_MS ? 0 : Math.min(REST * tookMs, REST_MAX_MS);
      if (nextList === undefined) relisting = undefined;
    }
  }

  /** Verifies what the registry does not know yet; the look does not wait for it. */
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
        // The registry is out of reach, most likely: the next look tries again.
        watch.forget(name);
        if (!closed) log.error({ err: error, model: found.model, version: found.version }, 'version not registered');
      })
      .finally(() => verifying.delete(name));
    verifying.set(name, work);
  }

  /** A worker of an earlier release registers settings without findings: these are found once more, a few times. */
  function verifyUnverified(name: string, version: ModelVersion): void {
    const found = local.get(name);
    if (found?.digest !== version.digest || isVerified(found, version) || verifying.has(name)) return;
    const times = verifiedAgain.get(version.digest) ?? 0;
    if (times === VERIFIED_AGAIN_MAX) return;
    verifiedAgain.set(version.digest, times + 1);
    admit(found, version);
  }

  /** One at a time: a look and a verification may end together. */
  function settle(registered: readonly ModelVersion[]): Promise<void> {
    settling = settling
      .then(() => bring(registered))
      .catch((error: unknown) => log.error({ err: error }, 'models not settled'));
    return settling;
  }

  /** Brings the handles to what registry and folder say. */
  async function bring(registered: readonly ModelVersion[]): Promise<void> {
    const before = ready;
    const wanted = new Map<string, ModelVersion>();
    for (const version of registered)
      if (version.state === 'ready' || version.state === 'draining') wanted.set(nameOf(version), version);
    for (const [name, handle] of handles) {
      if (wanted.get(name)?.digest === handle.version.digest) continue;
      handles.delete(name);
      // The same files may stand under another name.
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
          // Its files went away meanwhile: the next look tells.
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
    looking ??= look()
      .catch((error: unknown) => {
        if (!closed) log.error({ err: error }, 'models folder or registry out of reach');
      })
      .finally(() => {
        looking = undefined;
      });
    return looking;
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
      await Promise.all([looking, ...verifying.values()]);
    },
  };
}
