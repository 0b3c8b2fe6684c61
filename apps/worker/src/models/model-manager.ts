/**
 * The models of this worker. Scans the models folder, verifies and registers new versions, and lists the versions that this worker
 * can run.
 */
import type { FoundVersion } from '@millrace/shared/model-files/read-version';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Config } from '@millrace/shared/process/config';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { Logger } from 'pino';
import type { Devices } from '../engine/devices.ts';
import type { EnginePool } from '../engine/engine-pool.ts';
import { CardWriter } from './card-writer.ts';
import { CoalescedRun, pauseAfterScan } from './coalesced-run.ts';
import { EditedVersions } from './edited-versions.ts';
import { type FolderNews, FolderWatch, nameOf } from './folder-watch.ts';
import { brokenVersion } from './register-version.ts';
import type { RegistryClient } from './registry-client.ts';
import { VersionRetirement } from './retire-version.ts';
import { type RunnableVersion, RunnableVersions } from './runnable-versions.ts';
import { type UnservedVersion, UnservedVersions } from './unserved-versions.ts';
import { VerificationQueue } from './verification-queue.ts';
import { createVerifier, type Verifier } from './verifier.ts';

export interface ModelManagerDeps {
  config: Pick<Config, 'modelsDir' | 'workerModels' | 'scanMs' | 'watchModels' | 'loadMemoryMb' | 'loadTimeoutMs'>;
  registry: RegistryClient;
  pool: EnginePool;
  devices: Devices;
  log: Logger;
  now?: () => number;
  /** Whether predictions of a version still wait. A draining version without waiting predictions is retired. */
  hasWork?: (version: ModelVersion) => Promise<boolean>;
}

const MIB = 1_048_576;
/** An edit is served after two scans with the same files. */
const WATCH_MS = 250;

/** Resolves after the first scan: registered versions can run then. New versions are verified afterwards. */
export async function startModelManager(deps: ModelManagerDeps): Promise<ModelManager> {
  const manager = new ModelManager(deps);
  await manager.start();
  return manager;
}

export class ModelManager {
  readonly #deps: ModelManagerDeps;
  readonly #now: () => number;
  readonly #watch: FolderWatch;
  readonly #verifier: Verifier;
  /** The versions in the folder, by `model/version`. */
  readonly #found = new Map<string, FoundVersion>();
  /** The versions that were registered when the last complete scan began, by `model/version`. */
  #sought: ReadonlyMap<string, ModelVersion> = new Map();
  readonly #verifications: VerificationQueue;
  readonly #edits: EditedVersions;
  readonly #retirement: VersionRetirement;
  readonly #cards: CardWriter;
  readonly #runnable: RunnableVersions;
  readonly #unserved: UnservedVersions;
  readonly #registryRead = new CoalescedRun(() => this.#readRegistry());
  #scanning: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(deps: ModelManagerDeps) {
    const { config, registry, pool, devices, log, now = sharedNow, hasWork = async () => false } = deps;
    this.#deps = deps;
    this.#now = now;
    const watch = new FolderWatch(config.modelsDir, config.workerModels);
    this.#watch = watch;
    const verifier = createVerifier({
      memoryBytes: config.loadMemoryMb * MIB,
      timeoutMs: config.loadTimeoutMs,
      devices,
      log,
    });
    this.#verifier = verifier;
    const verifications = new VerificationQueue({
      registry,
      verifier,
      log,
      now,
      findAgain: (name) => watch.forget(name),
      onRegistered: () => this.readRegistry(),
    });
    this.#verifications = verifications;
    this.#cards = new CardWriter({ modelsDir: config.modelsDir, registry, log });
    this.#edits = new EditedVersions({ watches: config.watchModels, registry, log });
    this.#retirement = new VersionRetirement({ registry, now, hasWork });
    this.#unserved = new UnservedVersions({
      log,
      found: this.#found,
      inFolder: (name) => watch.has(name),
      isSought: (name) => this.#sought.has(name),
      serves: (model) => watch.includes(model),
    });
    this.#runnable = new RunnableVersions({
      unserved: this.#unserved,
      pool,
      devices,
      log,
      found: this.#found,
      verifyAgain: (found, version) => verifications.addUnverified(found, version),
    });
  }

  /** Versions that this worker can run now, in no order. Every change makes a new array. */
  runnable(): readonly RunnableVersion[] {
    return this.#runnable.list();
  }

  /** Versions in service whose files in the folder differ from the registered files. Every scan makes a new array. */
  mismatched(): readonly ModelVersion[] {
    return this.#runnable.mismatched();
  }

  /** Versions of the registry that this worker does not serve, with the reason of each. Every update makes a new array. */
  unserved(): readonly UnservedVersion[] {
    return this.#unserved.list();
  }

  /** Calls `callback` after every change of `runnable()`. The returned function removes the callback. */
  onChange(callback: () => void): () => void {
    return this.#runnable.onChange(callback);
  }

  /** Scans at once, and then at every interval. */
  async start(): Promise<void> {
    const started = performance.now();
    await this.scan();
    if (this.#closed) return;
    const { scanMs, watchModels } = this.#deps.config;
    const everyMs = watchModels ? Math.min(scanMs, WATCH_MS) : scanMs;
    const afterMs = pauseAfterScan(everyMs, performance.now() - started);
    this.#timer = setTimeout(() => void this.start(), afterMs).unref();
  }

  /** Reads the folder and the registry now instead of at the next interval. Faults are logged, never thrown. */
  scan(): Promise<void> {
    this.#scanning ??= this.#scan()
      .catch((error: unknown) => {
        if (!this.#closed) this.#deps.log.error({ err: error }, 'the models folder or the registry cannot be reached');
      })
      .finally(() => {
        this.#scanning = undefined;
      });
    return this.#scanning;
  }

  /** Reads only the registry, after an announced change. Resolves when `runnable` and `unserved` reflect the registry at the time of the call. */
  readRegistry(): Promise<void> {
    return this.#registryRead.request();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#registryRead.close();
    this.#verifications.close();
    clearTimeout(this.#timer);
    await this.#verifier.close();
    await Promise.all([this.#scanning, this.#verifications.idle()]);
  }

  async #scan(): Promise<void> {
    const registered = await this.#deps.registry.list();
    const byName = new Map(registered.map((version) => [nameOf(version), version]));
    const news = await this.#watch.scan(this.#now(), (seen) => {
      const known = byName.get(nameOf(seen));
      // An earlier release registered this version, with a digest that leaves out some files and packages of the handler.
      const own = { ...seen, ...seen.earlier.find(({ digest }) => digest === known?.digest) };
      const found = this.#edits.place(own, registered);
      this.#found.set(nameOf(found), found);
      this.#verifications.add(found, byName.get(nameOf(found)));
    });
    this.#sought = byName;
    await this.#edits.drainOld(registered, this.#found);
    await this.#registerNews(news, byName);
    await this.#retirement.retireIdle(registered);
    // Only a registered version can have a card: the card of a new version follows with the next scan.
    await this.#cards.write([...this.#found.values()].filter((found) => byName.has(nameOf(found))));
    await this.readRegistry();
  }

  /** Registers broken versions as failed, and drains versions whose folder was removed. */
  async #registerNews(news: FolderNews, byName: ReadonlyMap<string, ModelVersion>): Promise<void> {
    const { registry, log } = this.#deps;
    for (const { path, message } of news.problems) log.warn({ path, reason: message }, 'models folder');
    for (const { files, reason } of news.broken) {
      log.warn({ model: files.model, version: files.version, reason }, 'version cannot be read');
      await registry.register(brokenVersion(files, reason, this.#now()));
    }
    for (const name of news.gone) {
      this.#found.delete(name);
      const version = byName.get(name);
      const versions = version === undefined ? [] : [version, ...this.#edits.editsOf(version, [...byName.values()])];
      for (const removed of versions) await this.#retirement.drainRemoved(removed);
    }
  }

  async #readRegistry(): Promise<void> {
    try {
      if (!this.#closed) await this.#runnable.update(await this.#deps.registry.list());
    } catch (error) {
      if (!this.#closed) this.#deps.log.error({ err: error }, 'the registry cannot be reached');
    }
  }
}
