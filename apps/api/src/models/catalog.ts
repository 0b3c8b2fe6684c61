/**
 * The catalog of models in an API process: the registry, and the canonicalizer of each version. The registry is read through
 * the cache, so most reads do not reach Postgres.
 */
import { ApiError, type Fault } from '@millrace/shared/errors';
import { mismatchOf } from '@millrace/shared/registry/registry-mismatch';
import type { ModelVersion, RegisteredModel, RegistrySnapshot } from '@millrace/shared/registry/registry-types';
import { nearNames } from '@millrace/shared/text/near-names';
import type { Logger } from 'pino';
import type { Canonicalizer } from './canonicalizer.ts';
import { DefaultVersions } from './default-versions.ts';

/** With more handlers than this, readiness checks only the handlers of requested versions: each load takes time. */
const CHECKED_MAX = 16;
/** The time for which a process trusts its copy of the registry without an announced change. */
const TRUST_MS = 1_000;

export interface ServedModel {
  registered: RegisteredModel;
  version: ModelVersion;
  canonicalizer: Canonicalizer;
}

export interface Catalog {
  models(tenant: string): Promise<RegistrySnapshot>;
  model(tenant: string, name: string): Promise<RegisteredModel>;
  /** The version with this name or alias; without a name, the version that serves the model. Throws ApiError. */
  version(tenant: string, name: string, versionOrAlias: string | undefined): Promise<ModelVersion>;
  /** The version that serves a request, without a promise if the version is loaded. Throws ApiError. */
  serving(tenant: string, name: string, versionOrAlias?: string): ServedModel | Promise<ServedModel>;
  /** Whether this process can serve the models of a tenant. */
  condition(tenant: string): Promise<CatalogCondition>;
  /** Discards the copies of the registry after a change. */
  changed(): void;
}

export interface CatalogCondition {
  /** The number of models whose default version this process can serve. */
  servable: number;
  /** A sentence for each version with changed files or without a handler in this process. */
  problems: readonly string[];
}

export interface CatalogDeps {
  /** The registry of a tenant, through the read-through cache. */
  loadRegistry(tenant: string): Promise<RegistrySnapshot>;
  /** Creates the canonicalizer of a version. Called once for each digest while the digest is served. */
  loadCanonicalizer(version: ModelVersion): Promise<Canonicalizer>;
  log: Logger;
}

interface Prepared {
  canonicalizer: Canonicalizer;
  rowIndependent: boolean;
}

interface Known {
  snapshot: RegistrySnapshot;
  byName: Map<string, RegisteredModel>;
  at: number;
}

export function createCatalog({ loadRegistry, loadCanonicalizer, log }: CatalogDeps): Catalog {
  const known = new Map<string, Known>();
  const loading = new Map<string, Promise<Known>>();
  const canonicalizers = new Map<string, Prepared>();
  /** The digests that can serve, by tenant. Kept after a change, because the tenants are read again at different times. */
  const served = new Map<string, Set<string>>();
  const preparing = new Map<string, Promise<Canonicalizer>>();
  /** The digests of requested versions whose handler could not be loaded. */
  const unprepared = new Set<string>();
  const defaultVersions = new DefaultVersions(log);
  let generation = 0;

  function refresh(tenant: string): Promise<Known> {
    const started = generation;
    let under = loading.get(tenant);
    if (!under) {
      under = loadRegistry(tenant)
        .then((snapshot) => {
          const fresh = { snapshot, byName: new Map(snapshot.models.map((m) => [m.model, m])), at: performance.now() };
          // After a change during the load, the copy is outdated: this caller still receives the copy, and nobody else.
          if (started === generation) {
            known.set(tenant, fresh);
            defaultVersions.update(tenant, snapshot.models);
            forgetUnserved(tenant, snapshot);
          }
          return fresh;
        })
        .finally(() => loading.delete(tenant));
      loading.set(tenant, under);
    }
    return under;
  }

  /** Releases canonicalizers, with their entities and handlers, when no version of any tenant needs them. */
  function forgetUnserved(tenant: string, { models }: RegistrySnapshot): void {
    const versions = models.flatMap((model) => model.versions.filter(canServe));
    served.set(tenant, new Set(versions.map(({ digest }) => digest)));
    const sets = [...served.values()];
    for (const digest of [...canonicalizers.keys()]) {
      if (sets.some((digests) => digests.has(digest))) continue;
      canonicalizers.get(digest)?.canonicalizer.release();
      canonicalizers.delete(digest);
    }
    for (const digest of unprepared) if (!sets.some((digests) => digests.has(digest))) unprepared.delete(digest);
  }

  /** The current copy. An old copy is returned and refreshed in the background. A promise only if no copy exists. */
  function current(tenant: string): Known | Promise<Known> {
    const have = known.get(tenant);
    if (!have) return refresh(tenant);
    if (performance.now() - have.at > TRUST_MS) {
      // The new time prevents a second refresh, also after a failure: the old copy still serves.
      have.at = performance.now();
      refresh(tenant).catch((error) => log.warn({ err: error }, 'the registry cannot be refreshed'));
    }
    return have;
  }

  function find({ byName }: Known, name: string): RegisteredModel {
    const model = byName.get(name);
    if (model) return model;
    const suggestions = nearNames(name, byName.keys());
    throw new ApiError('model_not_found', `There is no model '${name.slice(0, 100)}'.`, { suggestions });
  }

  function findVersion(model: RegisteredModel, versionOrAlias: string): ModelVersion {
    const wanted = model.aliases[versionOrAlias] ?? versionOrAlias;
    const version = model.versions.find((candidate) => candidate.version === wanted);
    if (version) return version;
    throw new ApiError(
      'version_not_found',
      `Model '${model.model}' has no version or alias '${versionOrAlias.slice(0, 100)}'.`,
      {
        suggestions: [...Object.keys(model.aliases), ...model.versions.map((candidate) => candidate.version)].slice(
          0,
          10,
        ),
      },
    );
  }

  function pick(model: RegisteredModel, versionOrAlias: string | undefined): ModelVersion {
    const wanted = versionOrAlias ?? model.defaultVersion;
    if (wanted === null) {
      const failed = model.versions.find(({ state }) => state === 'failed');
      const why = failed ? ` Version ${failed.version} failed: ${failed.reason}` : '';
      // A version that is loading can become ready. A failed version stays as it is.
      if (failed && !model.versions.some(({ state }) => state === 'loading'))
        throw new ApiError('version_failed', `Model '${model.model}' has no version that is ready.${why}`);
      throw new ApiError('model_unavailable', `Model '${model.model}' has no version that is ready.${why}`, {
        retryAfterS: 2,
      });
    }
    const version = findVersion(model, wanted);
    if (canServe(version)) return version;
    const why = version.reason ? `: ${version.reason}` : '.';
    const detail = `Version ${version.version} of '${model.model}' is ${version.state}${why}`;
    if (version.state !== 'loading') throw new ApiError('version_failed', detail);
    throw new ApiError('model_unavailable', detail, { retryAfterS: 2 });
  }

  function serve(have: Known, name: string, versionOrAlias: string | undefined): ServedModel | Promise<ServedModel> {
    const registered = find(have, name);
    const version = pick(registered, versionOrAlias);
    const prepared = canonicalizers.get(version.digest);
    // How tensors are cut into rows may change without a new digest.
    if (prepared?.rowIndependent === version.config.rowIndependent)
      return { registered, version, canonicalizer: prepared.canonicalizer };
    return prepare(version).then((canonicalizer) => ({ registered, version, canonicalizer }));
  }

  function prepare(version: ModelVersion): Promise<Canonicalizer> {
    const { rowIndependent } = version.config;
    const name = `${version.digest} ${rowIndependent}`;
    let under = preparing.get(name);
    if (!under) {
      under = loadCanonicalizer(version)
        .then((canonicalizer) => {
          canonicalizers.set(version.digest, { canonicalizer, rowIndependent });
          unprepared.delete(version.digest);
          return canonicalizer;
        })
        .catch((error: unknown) => {
          unprepared.add(version.digest);
          throw error;
        })
        .finally(() => preparing.delete(name));
      preparing.set(name, under);
    }
    return under;
  }

  /** The detail of the error that a request for the version would receive; null if the version can be served. */
  async function unservable(version: ModelVersion, handlers: number): Promise<string | null> {
    if (version.handlerDigest === null || canonicalizers.has(version.digest)) return null;
    if (handlers > CHECKED_MAX && !version.foundDigest && !unprepared.has(version.digest)) return null;
    return prepare(version).then(
      () => null,
      ({ message }: Error) => message,
    );
  }

  async function condition(tenant: string): Promise<CatalogCondition> {
    const { models } = (await current(tenant)).snapshot;
    const defaults = models.flatMap((model) => {
      const version = model.versions.find((candidate) => candidate.version === model.defaultVersion);
      return version && canServe(version) ? [version] : [];
    });
    const handlers = defaults.filter(({ handlerDigest }) => handlerDigest !== null).length;
    const refusals = await Promise.all(defaults.map((version) => unservable(version, handlers)));
    const mismatches = models.flatMap(({ versions }) => versions.flatMap((version) => mismatchOf(version) ?? []));
    return {
      servable: refusals.filter((refusal) => refusal === null).length,
      problems: [...new Set([...mismatches, ...refusals.filter((refusal) => refusal !== null)])],
    };
  }

  return {
    condition,
    models: async (tenant) => (await current(tenant)).snapshot,
    model: async (tenant, name) => find(await current(tenant), name),
    async version(tenant, name, versionOrAlias) {
      const model = find(await current(tenant), name);
      return versionOrAlias === undefined ? pick(model, undefined) : findVersion(model, versionOrAlias);
    },
    serving(tenant, name, versionOrAlias) {
      const have = current(tenant);
      return have instanceof Promise
        ? have.then((k) => serve(k, name, versionOrAlias))
        : serve(have, name, versionOrAlias);
    },
    changed() {
      generation += 1;
      known.clear();
      loading.clear();
    },
  };
}

const canServe = ({ state }: ModelVersion): boolean => state === 'ready' || state === 'draining';

/** Converts a fault of an input to a fault of the request, whose body has the input at `prefix`, such as `/input`. */
export const under = (prefix: string, fault: Fault): Fault => ({ ...fault, pointer: prefix + fault.pointer });
