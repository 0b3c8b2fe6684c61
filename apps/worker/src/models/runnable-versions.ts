/**
 * The versions that this worker can run: versions that are ready or draining in the registry, with files of the registered digest in
 * the folder.
 */
import type { FoundVersion } from '@millrace/shared/model-files/read-version';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import type { Logger } from 'pino';
import type { DeviceChoice, Devices } from '../engine/devices.ts';
import type { EnginePool } from '../engine/engine-pool.ts';
import type { LoadedVersion, VersionEngine } from '../engine/protocol/loaded-version.ts';
import { nameOf } from './folder-watch.ts';
import type { UnservedVersions } from './unserved-versions.ts';
import { handlerOf, readEntities } from './verifier.ts';

// With more versions than this, loading all of them into every engine takes longer than the first requests can wait.
const PRELOAD_MAX = 16;

/** The registry entry of a version, and the files and settings that engines load. */
export interface RunnableVersion {
  version: ModelVersion;
  loaded: LoadedVersion;
}

export interface RunnableVersionsDeps {
  pool: EnginePool;
  devices: Devices;
  log: Logger;
  /** The versions in the folder, by `model/version`. */
  found: ReadonlyMap<string, FoundVersion>;
  /** Verifies a version in service again when its findings are missing. */
  verifyAgain(found: FoundVersion, version: ModelVersion): void;
  unserved: Pick<UnservedVersions, 'update'>;
}

export class RunnableVersions {
  readonly #deps: RunnableVersionsDeps;
  readonly #byName = new Map<string, RunnableVersion>();
  readonly #callbacks = new Set<() => void>();
  #list: readonly RunnableVersion[] = [];
  #mismatched: readonly ModelVersion[] = [];
  /** Why this worker cannot run a version, by `model/version`. */
  readonly #faults = new Map<string, string>();
  /** The registry of the last update. */
  #registered: readonly ModelVersion[] = [];
  #updating: Promise<void> = Promise.resolve();

  constructor(deps: RunnableVersionsDeps) {
    this.#deps = deps;
  }

  /** The versions in no order. Every change makes a new array. */
  list(): readonly RunnableVersion[] {
    return this.#list;
  }

  /** Versions in service whose files in the folder differ from the registered files. Every update makes a new array. */
  mismatched(): readonly ModelVersion[] {
    return this.#mismatched;
  }

  /** Calls `callback` after every change of `list()`. The returned function removes the callback. */
  onChange(callback: () => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  /** Updates the list from the registry and the folder. Runs one update at a time: a scan and a verification can end together. */
  update(registered: readonly ModelVersion[]): Promise<void> {
    this.#updating = this.#updating
      .then(() => this.#update(registered))
      .catch((error: unknown) => this.#deps.log.error({ err: error }, 'the models were not updated'));
    return this.#updating;
  }

  async #update(registered: readonly ModelVersion[]): Promise<void> {
    this.#registered = registered;
    const before = this.#list;
    const inService = new Map<string, ModelVersion>();
    for (const version of registered)
      if (version.state === 'ready' || version.state === 'draining') inService.set(nameOf(version), version);
    this.#removeOthers(inService);
    const added = await this.#addFound(inService);
    this.#list = [...this.#byName.values()];
    this.#mismatched = this.#findMismatched(inService);
    this.#deps.unserved.update(registered, {
      isRunnable: (name) => this.#byName.has(name),
      faultOf: (name) => this.#faults.get(name),
    });
    if (this.#list.length <= PRELOAD_MAX) await this.#preload(added);
    if (differ(before, this.#list)) for (const callback of this.#callbacks) callback();
  }

  #removeOthers(inService: ReadonlyMap<string, ModelVersion>): void {
    for (const [name, { version, loaded }] of this.#byName) {
      if (inService.get(name)?.digest === version.digest) continue;
      this.#byName.delete(name);
      this.#unloadUnused(loaded);
    }
    for (const name of this.#faults.keys()) if (!inService.has(name)) this.#faults.delete(name);
  }

  /** Another name can have the same files. */
  #unloadUnused({ key }: LoadedVersion): void {
    if (![...this.#byName.values()].some((other) => other.loaded.key === key)) void this.#deps.pool.unload(key);
  }

  /** Adds the versions that are new or whose settings have changed, and returns them. */
  async #addFound(inService: ReadonlyMap<string, ModelVersion>): Promise<readonly LoadedVersion[]> {
    const { found, log, verifyAgain } = this.#deps;
    const added: LoadedVersion[] = [];
    for (const [name, version] of inService) {
      const files = found.get(name);
      const here = files?.digest === version.digest ? files : undefined;
      if (here) verifyAgain(here, version);
      const runnable = this.#byName.get(name);
      const sameSettings = runnable && canonicalJson(runnable.version.config) === canonicalJson(version.config);
      if (runnable !== undefined && sameSettings) this.#byName.set(name, { ...runnable, version });
      else if (here) {
        const choice = this.#chooseDevices(name, version);
        if (choice === undefined) {
          if (runnable !== undefined) this.#byName.set(name, { ...runnable, version });
          continue;
        }
        if ('reason' in choice) {
          this.#byName.delete(name);
          if (runnable !== undefined) this.#unloadUnused(runnable.loaded);
          continue;
        }
        try {
          const loaded = await loadedVersion(here, version, choice.engine);
          this.#byName.set(name, { version, loaded });
          if (runnable !== undefined && runnable.loaded.key !== loaded.key) this.#unloadUnused(runnable.loaded);
          added.push(loaded);
        } catch (error) {
          // The files were removed meanwhile. The next scan reports the version.
          log.warn({ err: error, model: version.model, version: version.version }, 'version cannot be read');
          this.#faults.set(name, `Its files cannot be read: ${(error as Error).message}`);
        }
      }
    }
    return added;
  }

  /** Undefined while the devices of the version are tried: no other version waits, and the end of the trial updates the list. */
  #chooseDevices(name: string, { config }: ModelVersion): DeviceChoice | undefined {
    const { devices } = this.#deps;
    const choice = devices.known(config.engine);
    if (choice === undefined) {
      void devices.choose(config.engine).then(() => this.update(this.#registered));
      return undefined;
    }
    if ('reason' in choice) this.#faults.set(name, choice.reason);
    else this.#faults.delete(name);
    return choice;
  }

  #findMismatched(inService: ReadonlyMap<string, ModelVersion>): readonly ModelVersion[] {
    return [...inService].flatMap(([name, version]) => {
      const found = this.#deps.found.get(name);
      return found === undefined || found.digest === version.digest ? [] : [{ ...version, foundDigest: found.digest }];
    });
  }

  async #preload(added: readonly LoadedVersion[]): Promise<void> {
    const { pool, log } = this.#deps;
    await Promise.all(
      added.map((loaded) =>
        pool.warm(loaded).catch((error: unknown) => log.warn({ err: error, model: loaded.model }, 'not preloaded')),
      ),
    );
  }
}

/** Whether versions were added, removed, or changed in state or settings. */
function differ(before: readonly RunnableVersion[], after: readonly RunnableVersion[]): boolean {
  const old = new Map(before.map((runnable) => [nameOf(runnable.version), runnable]));
  return (
    before.length !== after.length ||
    after.some(({ version, loaded }) => {
      const was = old.get(nameOf(version));
      return was?.loaded !== loaded || was.version.state !== version.state;
    })
  );
}

/** What engines need of a version: files from here, settings from the registry, so that all workers agree. */
async function loadedVersion(
  found: FoundVersion,
  version: ModelVersion,
  engine: VersionEngine,
): Promise<LoadedVersion> {
  const { config, signature, digest, model } = version;
  return {
    // Names with the same files share a session, unless their settings differ.
    key: config.engine === undefined ? digest : `${digest} ${canonicalJson(config.engine)}`,
    model,
    version: version.version,
    content: found.content,
    handler: handlerOf(found),
    entities: await readEntities(found),
    labels: config.labels,
    maxBatch: config.rowIndependent ? config.maxBatch : 1,
    timeoutMs: config.timeoutMs,
    signature,
    ...(config.engine === undefined ? {} : { engine }),
  };
}
