import { checkDatabase } from '@millrace/local/database-check';
import type { StartSettings } from './settings.ts';

/** Refuses servers that cannot be used, before anything of ours runs. */
export async function checkServers(settings: StartSettings): Promise<void> {
  if (settings.databaseUrl) await checkDatabase(settings.databaseUrl);
}

export async function migrateDatabase(databaseUrl: string): Promise<void> {
  const { migrate } = await import('@millrace/shared/migrate');
  await migrate(databaseUrl);
}
