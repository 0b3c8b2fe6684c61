/** Verifies and registers versions in the background. A scan does not wait for a verification. */
import type { FoundVersion } from '@millrace/shared/model-files/read-version';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { folderNameOf, nameOf } from './folder-watch.ts';
import { type RegisterDeps, registerVersion } from './register-version.ts';
import { isVerified } from './verify-again.ts';

const VERIFIED_AGAIN_MAX = 5;
/** The first pause before a version without its package is verified again. Each pause is twice the last, up to the longest. */
const RETRY_MS = 2_000;
const RETRY_MAX_MS = 300_000;

export interface VerificationDeps extends Omit<RegisterDeps, 'retryLater'> {
  /** Makes the next scan find a folder again, by `model/version`. */
  findAgain(name: string): void;
  /** Reads the registry after a version was registered. */
  onRegistered(): Promise<void>;
}

export class VerificationQueue {
  readonly #deps: VerificationDeps;
  /** Verifications that have not ended, by `model/version`. */
  readonly #verifying = new Map<string, Promise<void>>();
  /** Number of repeated verifications by digest, of versions whose findings the registry has lost. */
  readonly #verifiedAgain = new Map<string, number>();
  /** The last pause by `model/version`. */
  readonly #pauses = new Map<string, number>();
  readonly #retries = new Set<NodeJS.Timeout>();
  #closed = false;

  constructor(deps: VerificationDeps) {
    this.#deps = deps;
  }

  /** Verifies a version whose files are new or have changed. `known` is the registry entry of the same name. */
  add(found: FoundVersion, known: ModelVersion | undefined): void {
    const { log, findAgain, onRegistered } = this.#deps;
    const name = nameOf(found);
    if (this.#verifying.has(name)) {
      findAgain(folderNameOf(found));
      return;
    }
    const deps = { ...this.#deps, retryLater: (retried: string) => this.#retryLater(retried) };
    const verifying = registerVersion(deps, { found, known })
      .then(async () => {
        if (!this.#closed) await onRegistered();
      })
      .catch((error: unknown) => {
        // The registry is probably unreachable. The next scan tries again.
        findAgain(folderNameOf(found));
        if (!this.#closed)
          log.error({ err: error, model: found.model, version: found.version }, 'version not registered');
      })
      .finally(() => this.#verifying.delete(name));
    this.#verifying.set(name, verifying);
  }

  /** A worker of an earlier release registers settings without findings. Finds them again, VERIFIED_AGAIN_MAX times at most. */
  addUnverified(found: FoundVersion, version: ModelVersion): void {
    if (isVerified(found, version) || this.#verifying.has(nameOf(version))) return;
    const times = this.#verifiedAgain.get(version.digest) ?? 0;
    if (times === VERIFIED_AGAIN_MAX) return;
    this.#verifiedAgain.set(version.digest, times + 1);
    this.add(found, version);
  }

  #retryLater(name: string): void {
    if (this.#closed) return;
    const pauseMs = Math.min(RETRY_MAX_MS, 2 * (this.#pauses.get(name) ?? RETRY_MS / 2));
    this.#pauses.set(name, pauseMs);
    const retry = setTimeout(() => {
      this.#retries.delete(retry);
      this.#deps.findAgain(name);
    }, pauseMs).unref();
    this.#retries.add(retry);
  }

  /** Reports no more faults and reads the registry no more. Running verifications continue until the verifier is closed. */
  close(): void {
    this.#closed = true;
    for (const retry of this.#retries) clearTimeout(retry);
  }

  /** Resolves when the verifications that run now have ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#verifying.values());
  }
}
