/** `npm run migrate`: applies the missing migrations to the database of DATABASE_URL, and prints their names. */
import { migrateCommand } from '../packages/millrace/src/local/migrate.ts';

await migrateCommand({ env: process.env });
