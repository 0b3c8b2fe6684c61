/** Faults of Postgres: waiting callers still get results, and the API returns no promise that is not committed. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { asAdmin } from '../../services/template.ts';
import { type Context, type Fault, slowest } from '../fault.ts';
import { startLoad } from '../load.ts';

/** `mayPromise`: the remaining connections can still write, and a 202 is then as reliable as before. */
function ledgerAway(
  name: string,
  how: string,
  away: (context: Context) => Promise<() => Promise<void>>,
  mayPromise = false,
): Fault {
  return {
    name,
    how,
    async run(context) {
      const { stage, random, note, expect, goal } = context;
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
      const served = during.filter(({ status }) => status === 200);
      const refused = during.filter(({ status }) => status === 503);
      const promised = mayPromise ? during.filter(({ status }) => status === 202).length : 0;
      const rest = during.length - served.length - refused.length - promised;
      note(
        `meanwhile ${served.length} results${mayPromise ? `, ${promised} promised` : ''}, ${refused.length} refused with 503, the slowest in ${slowest(refused)} ms`,
      );
      expect(served.length > 0, 'waiting callers got no results');
      expect(refused.length > 0, 'promises were given without a ledger');
      expect(rest === 0, `other responses: ${JSON.stringify(stage.client.tally(from))}`);
      goal(slowest(refused) <= 1_000, `a 503 took ${slowest(refused)} ms`);
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
  ledgerAway('ledger-locked', 'LOCK of the table predictions for 4 s under load', async ({ stage, servers }) => {
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
  ledgerAway('ledger-read-only', 'Postgres refuses writes (default_transaction_read_only) for 4 s', async (context) => {
    const readOnly = async (value: string) => {
      await asAdmin(context.servers.postgres.directUrl, `ALTER SYSTEM SET default_transaction_read_only = ${value}`);
      await asAdmin(context.servers.postgres.directUrl, 'SELECT pg_reload_conf()');
    };
    await readOnly('on');
    return () => readOnly('off');
  }),
  ledgerAway(
    'postgres-full',
    "Millrace's connections to Postgres end, and other clients take all connections for 4 s",
    async ({ stage, servers }) => {
      const taken = await takeConnections(servers.postgres.directUrl, new URL(stage.databaseUrl).pathname.slice(1));
      return async () => {
        await Promise.all(taken.map((client) => client.end()));
      };
    },
    true,
  ),
];

/** Ends the connections of a database and opens others in their place, until no connection is left. */
async function takeConnections(url: string, database: string): Promise<pg.Client[]> {
  const taken: pg.Client[] = [];
  let refused = 0;
  while (refused < 3) {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    try {
      await client.connect();
      taken.push(client);
    } catch {
      refused += 1;
      await taken[0]?.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [database]);
    }
  }
  return taken;
}
