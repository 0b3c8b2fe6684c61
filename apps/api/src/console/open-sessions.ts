/** The sessions of the console in Postgres. */
import type { Db } from '@millrace/shared/postgres/db';
import { createSession, endSession, findSession } from '@millrace/shared/tenants/console-sessions';
import type { AuthenticationDeps } from '../http/authentication.ts';
import type { Sessions } from './routes.ts';

export interface OpenSessionsParams {
  db: Db;
  tenantOfKey: AuthenticationDeps['tenantOfKey'];
  tenantOfSession: NonNullable<AuthenticationDeps['tenantOfSession']>;
  /** Converts the failures of Postgres. */
  fromPostgres<T>(call: Promise<T>): Promise<T>;
}

/** Unknown keys and tokens are refused before a query on the callers' pool, as on every other route. */
export function openSessions({ db, tenantOfKey, tenantOfSession, fromPostgres }: OpenSessionsParams): Sessions {
  return {
    create: async (key) => ((await tenantOfKey(key)) === undefined ? undefined : fromPostgres(createSession(db, key))),
    find: async (token) =>
      (await tenantOfSession(token)) === undefined ? undefined : fromPostgres(findSession(db, token)),
    end: async (token) => {
      if ((await tenantOfSession(token)) !== undefined) await fromPostgres(endSession(db, token));
    },
  };
}
