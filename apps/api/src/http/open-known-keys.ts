/** The look-ups of API keys in Postgres, each kind on connections of its own. */

import { createPool, type Pool } from '@millrace/shared/postgres/db';
import type { Closers } from '@millrace/shared/process/closers';
import type { Config } from '@millrace/shared/process/config';
import { type KeyForm, ownersOfKeys } from '@millrace/shared/tenants/api-keys';
import type { Logger } from 'pino';
import { type FindOwners, KnownKeys } from './known-keys.ts';

export interface OpenKnownKeysParams {
  config: Config;
  /** The callers' pool. */
  db: Pool;
  closers: Closers;
  log: Logger;
}

/** Keys that this process knows are looked up on the callers' pool; unknown keys have one connection for each form. */
export function openKnownKeys({ config, db, closers, log }: OpenKnownKeysParams): KnownKeys {
  const findUnknown = (form: KeyForm): FindOwners => {
    const pool = createPool({
      databaseUrl: config.databaseUrl,
      max: 1,
      statementTimeoutMs: config.storeTimeoutMs,
      applicationName: `millrace-api-keys-${form}`,
      onError: (error) => log.debug({ err: error }, 'Postgres connection error'),
    });
    closers.push(`postgres of ${form} keys`, () => pool.end());
    return (hashes) => ownersOfKeys(pool, hashes);
  };
  return new KnownKeys({
    findKnown: (hashes) => ownersOfKeys(db, hashes),
    findUnknown: { checked: findUnknown('checked'), unchecked: findUnknown('unchecked') },
  });
}
