/** The commands for API keys: create, list and revoke. */
import { postgresNow } from '@millrace/shared/postgres/clock';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { checkPostgres } from '@millrace/shared/postgres/migrate';
import { loadConfig } from '@millrace/shared/process/config';
import { createApiKey, listApiKeys, revokeApiKey } from '@millrace/shared/tenants/api-keys';
import { Refusal, readCommandLine } from './command-line.ts';
import { reportFailure } from './failure.ts';
import { withServers } from './local-servers.ts';
import type { LocalCommand } from './models.ts';

const usageOf = (program: string) => `usage: ${program} COMMAND [--json]
  create TENANT [--name NAME] [--days N]   create a key and print it; a key is printed only here
  list                                     list the keys by their first characters
  revoke KEY                               revoke a key by its id or first characters; takes effect within five seconds

--json prints the result as JSON. DATABASE_URL has the keys. When the variable is not set, the command uses the servers that run in
this folder.`;

const lineOf = (program: string) =>
  ({
    usage: usageOf(program),
    commands: { create: { least: 1, most: 1 }, list: { least: 0, most: 0 }, revoke: { least: 1, most: 1 } },
    options: { name: { type: 'string' }, days: { type: 'string' }, json: { type: 'boolean' } },
  }) as const;

const day = (ms: number | null) => (ms === null ? 'never' : new Date(ms).toISOString().slice(0, 10));
const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

export async function keysCommand(params: LocalCommand): Promise<void> {
  await run(params).catch(reportFailure);
}

async function run({ args, env, root, program }: LocalCommand): Promise<void> {
  const line = readCommandLine(lineOf(program), args);
  if (line === null) return void process.stdout.write(`${usageOf(program)}\n`);
  const { command, values, flags } = line;
  const print = (text: string, json: unknown) =>
    process.stdout.write(`${flags.has('json') ? JSON.stringify(json) : text}\n`);
  const [subject = ''] = line.words;
  if (command === 'create') requireTenant(subject);
  const days = daysOf(values.days);
  const { databaseUrl } = loadConfig(withServers(env, root));
  const pool = createPool({ databaseUrl, max: 1, statementTimeoutMs: 10_000, applicationName: 'millrace-keys' });
  try {
    await checkPostgres(pool, databaseUrl);
    if (command === 'list') {
      const { text, json } = listed(await listApiKeys(pool));
      if (flags.has('json') || text !== '') print(text, json);
    } else if (command === 'create') {
      const expiresAt = days === null ? null : (await wholeNow(pool)) + Math.round(days * 86_400_000);
      const { key, row } = await createApiKey(pool, { tenant: subject, name: values.name ?? '', expiresAt });
      print(`${key}\nThe key of ${row.tenant} ends: ${day(row.expiresAt)}. Store the key now; it is not shown again.`, {
        key,
        tenant: row.tenant,
        expires_at: time(row.expiresAt),
      });
    } else if ((await revokeApiKey(pool, subject, await wholeNow(pool))) === 0) {
      throw new Refusal(`There is no active key '${subject}'. List the keys with: ${program} list`);
    } else print(`${subject} is revoked`, { key: subject, status: 'revoked' });
  } finally {
    await pool.end();
  }
}

/** The table has whole milliseconds, and the clock of Postgres has fractions. */
const wholeNow = async (pool: Pool): Promise<number> => Math.floor(await postgresNow(pool));

function requireTenant(name: string): void {
  if (/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name)) return;
  throw new Refusal(
    `'${name}' is not a valid tenant name. Expected lower-case letters, digits, '_' and '-', at most 63 characters.`,
  );
}

function daysOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (Number(text) > 0) return Number(text);
  throw new Refusal(`--days must be a number of days above 0, and is '${text}'.`);
}

function listed(keys: Awaited<ReturnType<typeof listApiKeys>>): { text: string; json: unknown } {
  const text = keys.map(({ prefix, tenant, name, expiresAt, revokedAt }) => {
    const end = revokedAt === null ? `ends ${day(expiresAt)}` : `revoked ${day(revokedAt)}`;
    return `${prefix}…  ${tenant}  ${name || '-'}  ${end}`;
  });
  const json = keys.map(({ prefix, tenant, name, expiresAt, revokedAt }) => ({
    prefix,
    tenant,
    name,
    expires_at: time(expiresAt),
    revoked_at: time(revokedAt),
  }));
  return { text: text.join('\n'), json };
}
