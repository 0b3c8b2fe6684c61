/** `npm run keys`: creates, lists and revokes API keys. */
import path from 'node:path';
import { postgresNow } from '@millrace/shared/postgres/clock';
import { createPool } from '@millrace/shared/postgres/db';
import { checkPostgres } from '@millrace/shared/postgres/migrate';
import { PostgresError } from '@millrace/shared/postgres/postgres-error';
import { ConfigError, loadConfig } from '@millrace/shared/process/config';
import { createApiKey, listApiKeys, revokeApiKey } from '@millrace/shared/tenants/api-keys';
import { Refusal, readCommandLine } from './cli/command-line.ts';
import { withServers } from './cli/local-servers.ts';

const USAGE = `usage: npm run keys -- COMMAND
  create TENANT [--name NAME] [--days N]   create a key and print it; a key is printed only here
  list                                     list the keys by their first characters
  revoke KEY                               revoke a key by its id or first characters; takes effect within five seconds`;

const LINE = {
  usage: USAGE,
  commands: { create: { least: 1, most: 1 }, list: { least: 0, most: 0 }, revoke: { least: 1, most: 1 } },
  options: { name: { type: 'string' }, days: { type: 'string' } },
} as const;

const print = (text: string) => process.stdout.write(`${text}\n`);
const day = (ms: number | null) => (ms === null ? 'never' : new Date(ms).toISOString().slice(0, 10));

async function main(): Promise<void> {
  const line = readCommandLine(LINE, process.argv.slice(2));
  if (line === null) return void print(USAGE);
  const { command, values } = line;
  const [subject = ''] = line.words;
  if (command === 'create' && !/^[a-z0-9][a-z0-9_-]{0,62}$/.test(subject))
    throw new Refusal(
      `'${subject}' is not a valid tenant name. Expected lower-case letters, digits, '_' and '-', at most 63 characters.`,
    );
  const days = values.days === undefined ? null : Number(values.days);
  if (days !== null && !(days > 0))
    throw new Refusal(`--days must be a number of days above 0, and is '${values.days}'.`);
  const { databaseUrl } = loadConfig(withServers(process.env, path.dirname(import.meta.dirname)));
  const pool = createPool({ databaseUrl, max: 1, statementTimeoutMs: 10_000, applicationName: 'millrace-keys' });
  try {
    await checkPostgres(pool, databaseUrl);
    if (command === 'list') {
      for (const { prefix, tenant, name, expiresAt, revokedAt } of await listApiKeys(pool))
        print(
          `${prefix}…  ${tenant}  ${name || '-'}  ${revokedAt === null ? `ends ${day(expiresAt)}` : `revoked ${day(revokedAt)}`}`,
        );
    } else if (command === 'create') {
      const expiresAt = days === null ? null : (await postgresNow(pool)) + days * 86_400_000;
      const { key, row } = await createApiKey(pool, { tenant: subject, name: values.name ?? '', expiresAt });
      print(`${key}\nThe key of ${row.tenant} ends: ${day(row.expiresAt)}. Store the key now; it is not shown again.`);
    } else if ((await revokeApiKey(pool, subject, await postgresNow(pool))) === 0) {
      throw new Refusal(`There is no active key '${subject}'. List the keys with: npm run keys -- list`);
    } else print(`${subject} is revoked`);
  } finally {
    await pool.end();
  }
}

await main().catch((error: Error) => {
  const isForOperator = [Refusal, PostgresError, ConfigError].some((kind) => error instanceof kind);
  process.stderr.write(`${isForOperator ? error.message : error.stack}\n`);
  process.exitCode = error instanceof Refusal ? error.exitCode : 1;
});
