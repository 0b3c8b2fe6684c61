/** Opens the catalog, and keeps the catalog current with the changes that other processes announce. */
import type { Entity } from '@millrace/shared/entities/entity';
import { readRegistry } from '@millrace/shared/registry/registry-cache';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { HandlerPool } from '../handlers/handler-pool.ts';
import { fromStore } from '../http/store-errors.ts';
import type { OpenParams, Stores } from '../stores/open-stores.ts';
import { CanonicalFormTimes } from './canonical-form-times.ts';
import { createCanonicalizer, type ImageResolver } from './canonicalizer.ts';
import { type Catalog, createCatalog } from './catalog.ts';
import { createRegistryChanges, type RegistryChanges } from './registry-changes.ts';

export interface OpenCatalogParams extends OpenParams {
  stores: Stores;
  /** The entities, without vectors, that the handler of a version reads. */
  entitiesOf(version: ModelVersion): Promise<Record<string, Entity[]>>;
  images: ImageResolver;
}

export interface OpenCatalog {
  catalog: Catalog;
  changes: RegistryChanges;
  times: CanonicalFormTimes;
}

export async function openCatalog(params: OpenCatalogParams): Promise<OpenCatalog> {
  const { stores, entitiesOf, images, config, log, closers } = params;
  const { keys, queue, cache, db } = stores;
  const { readThrough } = cache;
  const handlers = new HandlerPool({
    threads: config.handlerThreads,
    timeoutMs: config.handlerTimeoutMs,
    memoryMb: config.handlerMemoryMb,
  });
  closers.push('handlers', () => handlers.close());
  const { modelsDir } = config;
  const times = new CanonicalFormTimes(log);
  const catalog = createCatalog({
    loadRegistry: (tenant) => fromStore('Postgres', readRegistry(readThrough, db, tenant)),
    loadCanonicalizer: (version) =>
      createCanonicalizer(version, { modelsDir, entitiesOf, handlers, images, times, log }),
    log,
  });
  const channel = keys.registryChannel();
  const listener = queue.connect('blocking', 'registry');
  closers.push('registry listener', () => listener.disconnect());
  listener.on('message', () => catalog.changed());
  await listener.subscribe(channel, keys.bytesChannel());
  const publish = (tenant: string) => queue.redis.publish(channel, tenant);
  return { catalog, changes: createRegistryChanges(db, catalog, { readThrough, publish }), times };
}
