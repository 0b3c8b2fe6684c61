import pg from 'pg';
import type { Millrace } from './millrace.ts';
import { rawId } from './raw-id.ts';

/** The task of a prediction in the ledger; '' for none. `id` is the id of the API. */
export async function taskInLedger({ config }: Millrace, id: string): Promise<string> {
  const db = new pg.Client({ connectionString: config.databaseUrl });
  await db.connect();
  try {
    const { rows } = await db.query<{ task: string }>('SELECT task FROM predictions WHERE id = $1', [rawId(id)]);
    return rows[0]?.task ?? '';
  } finally {
    await db.end();
  }
}
