/** The look-ups of API keys in Postgres, each kind on its own connections. */

import { createPool, openConnections, type Pool } from '@millrace/shared/postgres/db';
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

/**
 * Keys that this process knows are looked up on the callers' pool; unknown keys have one connection for each form. Where every request
 * needs a key, resolves when these connections are open, or after `openMs`: the first request of every caller needs a connection.
 */
export async function openKnownKeys(params: OpenKnownKeysParams, openMs: number): Promise<KnownKeys> {
  const { db, config, log } = params;
  const checked = ownPool(params, 'keys-checked');
  const unchecked = ownPool(params, 'keys-unchecked');
  if (config.apiKeysRequired) {
    const opened = [checked, unchecked].map((pool) => openConnections(pool, 1, openMs));
    for (const one of await Promise.allSettled(opened))
      if (one.status === 'rejected') log.warn({ err: one.reason }, 'Postgres opens no connection for API keys yet');
  }
  return new KnownKeys({
    findKnown: (hashes) => ownersOfKeys(db, hashes),
    findUnknown: {
      checked: (hashes) => ownersOfKeys(checked, hashes),
      unchecked: (hashes) => ownersOfKeys(unchecked, hashes),
    },
  });
}

/** The same for the sessions of the console: a flood of unknown tokens delays no caller with a key. */
export function openKnownSessions(params: OpenKnownKeysParams): KnownKeys {
  const pool = ownPool(params, 'sessions');
  const findUnknown: FindOwners = (hashes) => ownersOfSessions(pool, hashes);
  return new KnownKeys({
    formOf: formOfSession,
    findKnown: (hashes) => ownersOfSessions(params.db, hashes),
    findUnknown: { checked: findUnknown, unchecked: findUnknown },
  });
}

/** A pool of one connection. */
function ownPool({ config, closers, log }: OpenKnownKeysParams, name: string): Pool {
  const pool = createPool({
    databaseUrl: config.databaseUrl,
    max: 1,
    statementTimeoutMs: config.storeTimeoutMs,
    applicationName: `millrace-api-${name}`,
    onError: (error) => log.debug({ err: error }, 'Postgres connection error'),
  });
  closers.push(`postgres of ${name}`, () => pool.end());
  return pool;
}
