/** The canonicalizers of the versions that an API process serves, with their handlers and entities. */
import type { ModelVersion, RegistrySnapshot } from '@millrace/shared/registry/registry-types';
import type { Canonicalizer } from './canonical-input.ts';
import { canServe } from './find-version.ts';

/** With more handlers than this, readiness checks only the handlers of requested versions: each load takes time. */
const CHECKED_MAX = 16;

interface Prepared {
  canonicalizer: Canonicalizer;
  rowIndependent: boolean;
}

export class PreparedVersions {
  readonly #load: (version: ModelVersion) => Promise<Canonicalizer>;
  /** By digest. */
  readonly #prepared = new Map<string, Prepared>();
  readonly #preparing = new Map<string, Promise<Canonicalizer>>();
  /** The digests that can serve, by tenant. Kept after a change, because the tenants are read again at different times. */
  readonly #served = new Map<string, Set<string>>();
  /** The digests of requested versions whose handler could not be loaded. */
  readonly #unprepared = new Set<string>();

  /** `load` creates the canonicalizer of a version. Called once for each digest while the digest is served. */
  constructor(load: (version: ModelVersion) => Promise<Canonicalizer>) {
    this.#load = load;
  }

  /** A promise only if the canonicalizer is not loaded. */
  canonicalizerOf(version: ModelVersion): Canonicalizer | Promise<Canonicalizer> {
    const prepared = this.#prepared.get(version.digest);
    // How tensors are cut into rows may change without a new digest.
    if (prepared?.rowIndependent === version.config.rowIndependent) return prepared.canonicalizer;
    return this.#prepare(version);
  }

  /** Releases canonicalizers, with their entities and handlers, when no version of any tenant needs them. */
  forgetUnserved(tenant: string, { models }: RegistrySnapshot): void {
    const versions = models.flatMap((model) => model.versions.filter(canServe));
    this.#served.set(tenant, new Set(versions.map(({ digest }) => digest)));
    const isServed = (digest: string) => [...this.#served.values()].some((digests) => digests.has(digest));
    for (const [digest, { canonicalizer }] of this.#prepared) {
      if (isServed(digest)) continue;
      canonicalizer.release();
      this.#prepared.delete(digest);
    }
    for (const digest of this.#unprepared) if (!isServed(digest)) this.#unprepared.delete(digest);
  }

  /** For each version, the detail of the error that a request would receive; null if the version can be served. */
  refusalsOf(versions: readonly ModelVersion[]): Promise<(string | null)[]> {
    const handlers = versions.filter(({ handlerDigest }) => handlerDigest !== null).length;
    return Promise.all(versions.map((version) => this.#refusalOf(version, handlers)));
  }

  async #refusalOf(version: ModelVersion, handlers: number): Promise<string | null> {
    const { digest, handlerDigest, foundDigest } = version;
    if (handlerDigest === null || this.#prepared.has(digest)) return null;
    if (handlers > CHECKED_MAX && !foundDigest && !this.#unprepared.has(digest)) return null;
    return this.#prepare(version).then(
      () => null,
      ({ message }: Error) => message,
    );
  }

  #prepare(version: ModelVersion): Promise<Canonicalizer> {
    const { digest, config } = version;
    const { rowIndependent } = config;
    const name = `${digest} ${rowIndependent}`;
    const preparing = this.#preparing.get(name);
    if (preparing) return preparing;
    const started = this.#load(version)
      .then((canonicalizer) => {
        this.#prepared.set(digest, { canonicalizer, rowIndependent });
        this.#unprepared.delete(digest);
        return canonicalizer;
      })
      .catch((error: unknown) => {
        this.#unprepared.add(digest);
        throw error;
      })
      .finally(() => this.#preparing.delete(name));
    this.#preparing.set(name, started);
    return started;
  }
}
