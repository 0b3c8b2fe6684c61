/**
 * The catalog of models in an API process: the registry, and the canonicalizer of each version. The registry is read through
 * the cache, so most reads do not reach Postgres.
 */
import type { Fault } from '@millrace/shared/errors';
import { mismatchOf } from '@millrace/shared/registry/registry-mismatch';
import type { ModelVersion, RegisteredModel, RegistrySnapshot } from '@millrace/shared/registry/registry-types';
import type { Logger } from 'pino';
import type { Canonicalizer } from './canonical-input.ts';
import { DefaultVersions } from './default-versions.ts';
import { canServe, findModel, findVersion, pickVersion } from './find-version.ts';
import { PreparedVersions } from './prepared-versions.ts';
import { RegistryCopies, type RegistryCopy } from './registry-copies.ts';

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

export function createCatalog({ loadRegistry, loadCanonicalizer, log }: CatalogDeps): Catalog {
  const defaultVersions = new DefaultVersions(log);
  const prepared = new PreparedVersions(loadCanonicalizer);
  const copies = new RegistryCopies({
    loadRegistry,
    onRead(tenant, snapshot) {
      defaultVersions.update(tenant, snapshot.models);
      prepared.forgetUnserved(tenant, snapshot);
    },
    log,
  });

  function serve({ byName }: RegistryCopy, name: string, versionOrAlias: string | undefined) {
    const registered = findModel(byName, name);
    const version = pickVersion(registered, versionOrAlias);
    const canonicalizer = prepared.canonicalizerOf(version);
    if (canonicalizer instanceof Promise)
      return canonicalizer.then((loaded) => ({ registered, version, canonicalizer: loaded }));
    return { registered, version, canonicalizer };
  }

  return {
    condition: async (tenant) => conditionOf((await copies.current(tenant)).snapshot, prepared),
    models: async (tenant) => (await copies.current(tenant)).snapshot,
    model: async (tenant, name) => findModel((await copies.current(tenant)).byName, name),
    async version(tenant, name, versionOrAlias) {
      const model = findModel((await copies.current(tenant)).byName, name);
      return versionOrAlias === undefined ? pickVersion(model, undefined) : findVersion(model, versionOrAlias);
    },
    serving(tenant, name, versionOrAlias) {
      const copy = copies.current(tenant);
      return copy instanceof Promise
        ? copy.then((read) => serve(read, name, versionOrAlias))
        : serve(copy, name, versionOrAlias);
    },
    changed: () => copies.changed(),
  };
}

async function conditionOf({ models }: RegistrySnapshot, prepared: PreparedVersions): Promise<CatalogCondition> {
  const defaults = models.flatMap(({ versions, defaultVersion }) =>
    versions.filter((version) => version.version === defaultVersion && canServe(version)),
  );
  const refusals = await prepared.refusalsOf(defaults);
  const mismatches = models.flatMap(({ versions }) => versions.flatMap((version) => mismatchOf(version) ?? []));
  return {
    servable: refusals.filter((refusal) => refusal === null).length,
    problems: [...new Set([...mismatches, ...refusals.filter((refusal) => refusal !== null)])],
  };
}

/** Converts a fault of an input to a fault of the request, whose body has the input at `prefix`, such as `/input`. */
export const under = (prefix: string, fault: Fault): Fault => ({ ...fault, pointer: prefix + fault.pointer });
