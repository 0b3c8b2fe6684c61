/**
 * What the API knows of models: the registry, read through the cache, and for each version the function that turns an
 * input into canonical rows. Nothing of it touches Postgres while the cache holds it.
 */
import { ApiError, type Fault } from '@millrace/shared/errors';
import { mismatchOf } from '@millrace/shared/registry/registry-mismatch';
import type { ModelVersion, RegisteredModel, RegistrySnapshot } from '@millrace/shared/registry/registry-types';
import { nearNames } from '@millrace/shared/text/near-names';
import type { Logger } from 'pino';
import type { Canonicalizer } from './canonicalizer.ts';

/** Beyond so many models with a handler, only those are looked at that were asked for: loading each handler takes time. */
const CHECKED_MAX = 16;
/** How long a process trusts its own copy of the registry without being told of a change. */
const TRUST_MS = 1_000;

export interface ServedModel {
  registered: RegisteredModel;
  version: ModelVersion;
  canonicalizer: Canonicalizer;
}

export interface Catalog {
  models(tenant: string): Promise<RegistrySnapshot>;
  model(tenant: string, name: string): Promise<RegisteredModel>;
  version(tenant: string, name: string, versionOrAlias: string): Promise<ModelVersion>;
  /** The version that serves a request; at once (no promise) where it is known already. Throws ApiError. */
  serving(tenant: string, name: string, versionOrAlias?: string): ServedModel | Promise<ServedModel>;
  /** Whether a tenant's models can be served by this process. */
  condition(tenant: string): Promise<CatalogCondition>;
  /** Forgets the registry: it has changed. */
  changed(): void;
}

export interface CatalogCondition {
  /** Models with a default version that this process can take requests for. */
  servable: number;
  /** A sentence for each version whose files are not the registered ones, or that this process has no handler of. */
  problems: readonly string[];
}

export interface CatalogDeps {
  /** The registry of a tenant, through the read-through cache. */
  loadRegistry(tenant: string): Promise<RegistrySnapshot>;
  /** Makes the canonicalizer of a version; called once per digest for as long as that is served. */
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
  /** By tenant, the digests that can serve. It outlives a change, after which tenants are read again one by one. */
  const served = new Map<string, Set<string>>();
  const preparing = new Map<string, Promise<Canonicalizer>>();
  /** Digests of versions that somebody asked for and whose handler could not be loaded. */
  const unprepared = new Set<string>();
  let generation = 0;

  function refresh(tenant: string): Promise<Known> {
    const started = generation;
    let under = loading.get(tenant);
    if (!under) {
      under = loadRegistry(tenant)
        .then((snapshot) => {
          const fresh = { snapshot, byName: new Map(snapshot.models.map((m) => [m.model, m])), at: performance.now() };
          // A change told while this was loading makes it old already: it serves this caller, and is not kept.
          if (started === generation) {
            known.set(tenant, fresh);
            forgetUnserved(tenant, snapshot);
          }
          return fresh;
        })
        .finally(() => loading.delete(tenant));
      loading.set(tenant, under);
    }
    return under;
  }

  /** Lets go of canonicalizers, with the entities and handlers that they hold, once no version of any tenant needs them. */
  function forgetUnserved(tenant: string, { models }: RegistrySnapshot): void {
    const versions = models.flatMap((model) => model.versions.filter(canServe));
    served.set(tenant, new Set(versions.map(({ digest }) => digest)));
    const sets = [...served.values()];
    for (const digest of canonicalizers.keys()) {
      if (!sets.some((digests) => digests.has(digest))) canonicalizers.delete(digest);
    }
    for (const digest of unprepared) if (!sets.some((digests) => digests.has(digest))) unprepared.delete(digest);
  }

  /** The copy at hand, refreshed behind the caller's back when it is old; a promise only when there is none. */
  function current(tenant: string): Known | Promise<Known> {
    const have = known.get(tenant);
    if (!have) return refresh(tenant);
    if (performance.now() - have.at > TRUST_MS) {
      // One refresh at a time, and not again at once when it fails: the copy goes on serving.
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
    if (versionOrAlias === undefined && model.defaultVersion === null) {
      const failed = model.versions.find(({ state }) => state === 'failed');
      const why = failed ? ` Version ${failed.version} failed: ${failed.reason}` : '';
      throw new ApiError('model_unavailable', `Model '${model.model}' has no version that is ready.${why}`, {
        retryAfterS: 2,
      });
    }
    const version = findVersion(model, versionOrAlias ?? (model.defaultVersion as string));
    if (canServe(version)) return version;
    const why = version.reason ? `: ${version.reason}` : '.';
    throw new ApiError(
      'model_unavailable',
      `Version ${version.version} of '${model.model}' is ${version.state}${why}`,
      {
        retryAfterS: 2,
      },
    );
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

  /** The detail of the error for whoever asks for the version now; null where it can be served. */
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
      const version = model.versions.find((one) => one.version === model.defaultVersion);
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
    version: async (tenant, name, versionOrAlias) => findVersion(find(await current(tenant), name), versionOrAlias),
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

/** Faults of one input as faults of the request, whose body holds the input under `prefix` (such as `/input`). */
export const under = (prefix: string, fault: Fault): Fault => ({ ...fault, pointer: prefix + fault.pointer });
