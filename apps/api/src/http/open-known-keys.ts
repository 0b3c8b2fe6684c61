/** The look-ups of API keys in Postgres, each kind on connections of its own. */

import { createPool, type Pool } from '@millrace/shared/postgres/db';
import type { Closers } from '@millrace/shared/process/closers';
import type { Config } from '@millrace/shared/process/config';
import { formOfSession, ownersOfKeys } from '@millrace/shared/tenants/api-keys';
import { ownersOfSessions } from '@millrace/shared/tenants/console-sessions';
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
export function openKnownKeys(params: OpenKnownKeysParams): KnownKeys {
  const { db } = params;
  return new KnownKeys({
    findKnown: (hashes) => ownersOfKeys(db, hashes),
    findUnknown: {
      checked: onOwnConnection(params, 'keys-checked', ownersOfKeys),
      unchecked: onOwnConnection(params, 'keys-unchecked', ownersOfKeys),
    },
  });
}

/** The same for the sessions of the console: a flood of unknown tokens delays no caller with a key. */
export function openKnownSessions(params: OpenKnownKeysParams): KnownKeys {
  const findUnknown = onOwnConnection(params, 'sessions', ownersOfSessions);
  return new KnownKeys({
    formOf: formOfSession,
    findKnown: (hashes) => ownersOfSessions(params.db, hashes),
    findUnknown: { checked: findUnknown, unchecked: findUnknown },
  });
}

function onOwnConnection(
  { config, closers, log }: OpenKnownKeysParams,
  name: string,
  find: (pool: Pool, hashes: readonly Buffer[]) => ReturnType<FindOwners>,
): FindOwners {
  const pool = createPool({
    databaseUrl: config.databaseUrl,
    max: 1,
    statementTimeoutMs: config.storeTimeoutMs,
    applicationName: `millrace-api-${name}`,
    onError: (error) => log.debug({ err: error }, 'Postgres connection error'),
  });
  closers.push(`postgres of ${name}`, () => pool.end());
  return (hashes) => find(pool, hashes);
}
