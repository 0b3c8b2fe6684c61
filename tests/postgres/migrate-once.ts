/** One process of a race: migrates the database of its first argument and sends its parent the applied migrations. */
import { migrate } from '@millrace/shared/postgres/migrate';

process.send?.('ready');
process.once('message', async () => {
  const applied = await migrate(process.argv[2]!).catch((error: Error) => error.message);
  process.send?.(applied, () => process.disconnect());
});
