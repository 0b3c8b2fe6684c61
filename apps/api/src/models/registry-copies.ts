/**
 * The copies of the registry in an API process, one for each tenant. An old copy still serves while the process reads a new copy in the
 * background.
 */
import type { RegisteredModel, RegistrySnapshot } from '@millrace/shared/registry/registry-types';
import type { Logger } from 'pino';

/** The time for which a process trusts its copy of the registry without an announced change. */
const TRUST_MS = 1_000;

export interface RegistryCopy {
  snapshot: RegistrySnapshot;
  byName: ReadonlyMap<string, RegisteredModel>;
}

interface DatedCopy extends RegistryCopy {
  readAt: number;
}

interface RegistryCopiesDeps {
  /** The registry of a tenant, through the read-through cache. */
  loadRegistry(tenant: string): Promise<RegistrySnapshot>;
  /** Receives each new copy, before a caller gets the copy. */
  onRead(tenant: string, snapshot: RegistrySnapshot): void;
  log: Logger;
}

export class RegistryCopies {
  readonly #deps: RegistryCopiesDeps;
  readonly #copies = new Map<string, DatedCopy>();
  readonly #loading = new Map<string, Promise<DatedCopy>>();
  /** Counts the announced changes. */
  #generation = 0;

  constructor(deps: RegistryCopiesDeps) {
    this.#deps = deps;
  }

  /** The current copy. An old copy is returned and refreshed in the background. A promise only if no copy exists. */
  current(tenant: string): RegistryCopy | Promise<RegistryCopy> {
    const copy = this.#copies.get(tenant);
    if (!copy) return this.#refresh(tenant);
    if (performance.now() - copy.readAt > TRUST_MS) {
      // The new time prevents a second refresh, also after a failure: the old copy still serves.
      copy.readAt = performance.now();
      this.#refresh(tenant).catch((error) => this.#deps.log.warn({ err: error }, 'the registry cannot be refreshed'));
    }
    return copy;
  }

  /** Discards the copies after a change. */
  changed(): void {
    this.#generation += 1;
    this.#copies.clear();
    this.#loading.clear();
  }

  #refresh(tenant: string): Promise<DatedCopy> {
    const loading = this.#loading.get(tenant) ?? this.#load(tenant);
    this.#loading.set(tenant, loading);
    return loading;
  }

  #load(tenant: string): Promise<DatedCopy> {
    const started = this.#generation;
    return this.#deps
      .loadRegistry(tenant)
      .then((snapshot) => {
        const byName = new Map(snapshot.models.map((registered) => [registered.model, registered]));
        const copy = { snapshot, byName, readAt: performance.now() };
        // After a change during the load, the copy is outdated: this caller still receives the copy, and nobody else.
        if (started === this.#generation) {
          this.#copies.set(tenant, copy);
          this.#deps.onRead(tenant, snapshot);
        }
        return copy;
      })
      .finally(() => this.#loading.delete(tenant));
  }
}
