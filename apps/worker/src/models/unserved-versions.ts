/**
 * Versions that the registry has and that this worker does not serve, each with its reason: a version in service without its files
 * here, and a version in the folder of this worker that failed.
 */
import type { FoundVersion } from '@millrace/shared/model-files/read-version';
import { mismatchOf } from '@millrace/shared/registry/registry-mismatch';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { Logger } from 'pino';
import { nameOf } from './folder-watch.ts';

export interface UnservedVersion {
  version: ModelVersion;
  /** A sentence with the reason. */
  reason: string;
}

export interface UnservedDeps {
  log: Logger;
  /** The versions in the folder, by `model/version`. */
  found: ReadonlyMap<string, FoundVersion>;
  /** Whether the last scan of the folder saw the files of a version, readable or not. */
  inFolder(name: string): boolean;
  /** Whether a scan that has ended began after the version was registered. Before such a scan the files may be in the folder. */
  isSought(name: string): boolean;
  /** Whether this worker serves the model (WORKER_MODELS). */
  serves(model: string): boolean;
}

/** The state of each version in this worker, by `model/version`. */
export interface RunnableNames {
  isRunnable(name: string): boolean;
  /** Why this worker cannot run a version whose files are here: no device, or unreadable files. */
  faultOf(name: string): string | undefined;
}

/** A version that stays unserved is logged again after this time. */
const REPEAT_MS = 3_600_000;

export class UnservedVersions {
  readonly #deps: UnservedDeps;
  /** When a version was logged, by `model/version` and reason. */
  readonly #logged = new Map<string, number>();
  #list: readonly UnservedVersion[] = [];

  constructor(deps: UnservedDeps) {
    this.#deps = deps;
  }

  /** Every update makes a new array. */
  list(): readonly UnservedVersion[] {
    return this.#list;
  }

  update(registered: readonly ModelVersion[], { isRunnable, faultOf }: RunnableNames): void {
    this.#list = registered.flatMap((version) => {
      const name = nameOf(version);
      if (isRunnable(name) || !this.#deps.serves(version.model)) return [];
      const reason = this.#reasonOf(name, version, faultOf(name));
      return reason === undefined ? [] : [{ version, reason }];
    });
    this.#log();
  }

  #reasonOf(name: string, version: ModelVersion, fault: string | undefined): string | undefined {
    const { found, inFolder, isSought } = this.#deps;
    if (version.state === 'failed') return inFolder(name) ? (version.reason ?? 'The version failed.') : undefined;
    // A draining version may have lost its folder on purpose.
    if (version.state !== 'ready') return undefined;
    if (fault !== undefined) return `${name} cannot run here. ${fault}`;
    const here = found.get(name);
    if (here !== undefined && here.digest !== version.digest)
      return mismatchOf({ ...version, foundDigest: here.digest }) ?? undefined;
    if (here !== undefined || !isSought(name)) return undefined;
    return `The models folder of this worker does not have the files of ${name}, which other workers serve. Add the files, or leave the model out of WORKER_MODELS.`;
  }

  #log(): void {
    const { log, found } = this.#deps;
    const nowMs = performance.now();
    const current = new Set<string>();
    for (const { version, reason } of this.#list) {
      const key = `${nameOf(version)} ${reason}`;
      current.add(key);
      if (nowMs - (this.#logged.get(key) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) continue;
      this.#logged.set(key, nowMs);
      const { model, version: name, digest: registered } = version;
      log.warn(
        { model, version: name, registered, found: found.get(nameOf(version))?.digest ?? null, reason },
        'version not served here',
      );
    }
    for (const key of this.#logged.keys()) if (!current.has(key)) this.#logged.delete(key);
  }
}
