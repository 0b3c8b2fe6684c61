/** What happens to Postgres: who waits for an answer goes on, and no promise is given that is not written. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Context, type Fault, slowest } from '../fault.ts';
import { startLoad } from '../load.ts';

function ledgerAway(name: string, how: string, away: (context: Context) => Promise<() => Promise<void>>): Fault {
  return {
    name,
    how,
    async run(context) {
      const { stage, random, note, expect } = context;
      const load = startLoad(stage.client, random);
      await delay(1_000);
      const back = await away(context);
      const from = Date.now();
      await delay(4_000);
      const until = Date.now();
      await back();
      const healedAt = Date.now();
      await delay(1_000);
      await load.stop();
      const during = stage.client.replies.filter(({ atMs, tookMs }) => atMs - tookMs > from && atMs < until);
      const answered = during.filter(({ status }) => status === 200);
      const refused = during.filter(({ status }) => status === 503);
      const rest = during.length - answered.length - refused.length;
      note(
        `meanwhile ${answered.length} answered, ${refused.length} refused with 503, the slowest in ${slowest(refused)} ms`,
      );
      expect(answered.length > 0, 'callers who wait got no answers');
      expect(refused.length > 0, 'promises were given without a ledger');
      expect(rest === 0, `something else came: ${JSON.stringify(stage.client.tally(from))}`);
      expect(slowest(refused) <= 1_000, `a 503 took ${slowest(refused)} ms`);
      return healedAt;
    },
  };
}

export const postgresFaults: Fault[] = [
  ledgerAway('postgres-killed', 'kill -9 of Postgres under load, started again after 4 s', async ({ servers }) => {
    await servers.postgres.kill();
    return () => servers.postgres.start();
  }),
  ledgerAway('postgres-stalls', 'SIGSTOP of Postgres, all its processes, for 4 s under load', async ({ servers }) => {
    servers.postgres.freeze();
    return async () => servers.postgres.thaw();
  }),
  ledgerAway('ledger-locked', 'LOCK of the table of predictions for 4 s under load', async ({ stage, servers }) => {
    const url = new URL(servers.postgres.directUrl);
    url.pathname = new URL(stage.databaseUrl).pathname;
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    await client.query('BEGIN');
    await client.query('LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE');
    return async () => {
      await client.query('ROLLBACK');
      await client.end();
    };
  }),
];
