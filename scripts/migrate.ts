/** `npm run migrate`: applies the missing migrations to the database of DATABASE_URL, and prints their names. */

import { migrate } from '@millrace/shared/postgres/migrate';
import { PostgresError, placeOf } from '@millrace/shared/postgres/postgres-error';
import { ConfigError, loadConfig } from '@millrace/shared/process/config';

try {
  const { databaseUrl } = loadConfig(process.env);
  const names = await migrate(databaseUrl);
  console.log(`${placeOf(databaseUrl)}: ${names.length > 0 ? `applied ${names.join(', ')}` : 'up to date'}.`);
} catch (error) {
  const expected = error instanceof PostgresError || error instanceof ConfigError;
  console.error(expected ? error.message : error instanceof Error ? error.stack : String(error));
  process.exitCode = 1;
}
