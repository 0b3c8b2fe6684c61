/** Opens the catalog, and keeps the catalog current with the changes that other processes announce. */
import type { ReadThrough } from '@millrace/shared/cache/read-through';
import type { Entity } from '@millrace/shared/entities/entity';
import type { Pool } from '@millrace/shared/postgres/db';
import type { Closers } from '@millrace/shared/process/closers';
import type { Config } from '@millrace/shared/process/config';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import { readRegistry } from '@millrace/shared/registry/registry-cache';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { Logger } from 'pino';
import { HandlerPool } from '../handlers/handler-pool.ts';
import { fromStore } from '../http/store-errors.ts';
import { CanonicalFormTimes } from './canonical-form-times.ts';
import { createCanonicalizer, type ImageResolver } from './canonicalizer.ts';
import { type Catalog, createCatalog } from './catalog.ts';
import { createRegistryChanges, type RegistryChanges } from './registry-changes.ts';

export interface OpenCatalogParams {
  config: Pick<Config, 'modelsDir' | 'handlerThreads' | 'handlerTimeoutMs' | 'handlerMemoryMb'>;
  log: Logger;
  closers: Closers;
  db: Pool;
  readThrough: ReadThrough;
  keys: Keys;
  /** Announces a change of the registry to all processes. */
  redis: Pick<Connection, 'publish'>;
  /** Opens the connection that receives the announcements. */
  connect(): Connection;
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
  const { entitiesOf, images, config, log, closers, db, readThrough, keys, redis } = params;
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
  const listener = params.connect();
  closers.push('registry listener', () => listener.disconnect());
  listener.on('message', () => catalog.changed());
  await listener.subscribe(channel, keys.bytesChannel(), keys.outputsChannel());
  const publish = (tenant: string) => redis.publish(channel, tenant);
  return { catalog, changes: createRegistryChanges(db, catalog, { readThrough, publish }), times };
}
