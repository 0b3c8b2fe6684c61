/** Applies the missing migrations to the database of DATABASE_URL, and prints their names. */
import { migrate } from '@millrace/shared/postgres/migrate';
import { placeOf } from '@millrace/shared/postgres/postgres-error';
import { loadConfig } from '@millrace/shared/process/config';
import { reportFailure } from './failure.ts';

export interface MigrateParams {
  env: NodeJS.ProcessEnv;
  json?: boolean;
}

export async function migrateCommand({ env, json = false }: MigrateParams): Promise<void> {
  try {
    const { databaseUrl } = loadConfig(env);
    const applied = await migrate(databaseUrl);
    const database = placeOf(databaseUrl);
    const text = `${database}: ${applied.length > 0 ? `applied ${applied.join(', ')}` : 'up to date'}.`;
    console.log(json ? JSON.stringify({ database, applied }) : text);
  } catch (error) {
    reportFailure(error);
  }
}
