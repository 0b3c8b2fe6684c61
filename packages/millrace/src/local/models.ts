/** The commands for the models of this machine: list, check, tune, add, promote and retire versions. */
import { ReadThrough } from '@millrace/shared/cache/read-through';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { checkPostgres } from '@millrace/shared/postgres/migrate';
import { type Config, loadConfig } from '@millrace/shared/process/config';
import { connectRedis, waitForRedis } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import type { RedisSetting } from '@millrace/shared/redis/redis-fault';
import { redisServerOf } from '@millrace/shared/redis/redis-store';
import { retireVersion, setAlias } from '@millrace/shared/registry/aliases';
import { loadRegistry } from '@millrace/shared/registry/registry';
import { announceRegistryChange } from '@millrace/shared/registry/registry-cache';
import { mismatchOf } from '@millrace/shared/registry/registry-mismatch';
import { add } from './add-model.ts';
import { check, isGood, textOf } from './check-models.ts';
import { Refusal, readCommandLine } from './command-line.ts';
import { reportFailure } from './failure.ts';
import { withServers } from './local-servers.ts';
import { type Print, printer } from './print.ts';
import { tune } from './tune.ts';

const usageOf = (program: string) => `usage: ${program} COMMAND [--json]
  list                                   list the models and versions of the registry
  check [NAME[/VERSION]]                 load the versions of the folder in a limited engine, and print the faults
  tune NAME[/VERSION] --p99 50ms         measure sizes of micro-batches, engines and threads, and print the fastest within the
                                         latency: [--input FILE] [--seconds 1] [--write], which changes model.json
  add FILE --name NAME [--version V]     check a file and copy it into the folder; running workers load the new version
  promote NAME VERSION                   point the alias production at a version
  retire NAME VERSION                    take a version out of service for good

--json prints the result as JSON. MODELS_DIR is the folder, and DATABASE_URL has the registry. Changes are published on REDIS_URL.
When none of these variables is set, the command uses the servers that run in this folder.`;

const lineOf = (program: string) =>
  ({
    usage: usageOf(program),
    commands: {
      list: { least: 0, most: 0 },
      check: { least: 0, most: 1 },
      tune: { least: 1, most: 1 },
      add: { least: 1, most: 1 },
      promote: { least: 2, most: 2 },
      retire: { least: 2, most: 2 },
    },
    options: {
      name: { type: 'string' },
      version: { type: 'string' },
      p99: { type: 'string' },
      input: { type: 'string' },
      seconds: { type: 'string' },
      write: { type: 'boolean' },
      json: { type: 'boolean' },
    },
  }) as const;
/** The options of a command. Commands without an entry take only --json. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  add: ['name', 'version', 'json'],
  tune: ['p99', 'input', 'seconds', 'write', 'json'],
};
const TENANT = 'default';

async function list(pool: Pool, print: Print): Promise<void> {
  const { models } = await loadRegistry(pool, TENANT);
  const lines = models.flatMap(({ model, versions, aliases, defaultVersion }) => [
    model,
    ...versions.map((registered) => {
      const { version, state, digest } = registered;
      const reason = registered.reason ?? mismatchOf(registered);
      const names = Object.entries(aliases)
        .filter(([, target]) => target === version)
        .map(([alias]) => alias);
      const marks = [...(version === defaultVersion ? ['default'] : []), ...names].join(', ');
      return `  ${version}  ${state}  ${digest.slice(0, 12)}${marks ? `  (${marks})` : ''}${reason ? `  ${reason}` : ''}`;
    }),
  ]);
  const data = models.map(({ model, versions, aliases, defaultVersion }) => ({
    name: model,
    default_version: defaultVersion,
    aliases,
    versions: versions.map((registered) => ({
      version: registered.version,
      status: registered.state,
      digest: registered.digest,
      reason: registered.reason ?? mismatchOf(registered) ?? null,
    })),
  }));
  const none = 'No model is registered yet. A worker registers the models of its folder.';
  print(lines.length > 0 ? lines.join('\n') : none, data);
}

/** Runs a change of the registry, then publishes the change to API processes and workers. */
async function change(config: Config, make: () => Promise<void>): Promise<void> {
  const connect = (setting: RedisSetting) => {
    const server = redisServerOf(config, setting);
    return connectRedis(server.url, 'producer', { ...server, timeoutMs: 5_000 });
  };
  const redis = connect('REDIS_URL');
  const cacheRedis = connect('CACHE_REDIS_URL');
  try {
    await waitForRedis(redis, 'The queue Redis (REDIS_URL)', 5_000);
    await waitForRedis(cacheRedis, 'The cache Redis (CACHE_REDIS_URL)', 5_000);
    await make();
    const keys = keysFor(config.keyPrefix);
    const readThrough = new ReadThrough({ redis: cacheRedis, keys, ttlMs: config.queryTtlMs });
    const publish = (tenant: string) => redis.publish(keys.registryChannel(), tenant);
    await announceRegistryChange({ readThrough, tenant: TENANT, publish });
    readThrough.close();
  } finally {
    redis.disconnect();
    cacheRedis.disconnect();
  }
}

export interface LocalCommand {
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  /** The folder of `.millrace` and of a relative MODELS_DIR. */
  root: string;
  /** The command as a user types it, for the usage. */
  program: string;
}

export async function modelsCommand(params: LocalCommand): Promise<void> {
  await run(params).catch(reportFailure);
}

async function run({ args, env, root, program }: LocalCommand): Promise<void> {
  const line = readCommandLine(lineOf(program), args);
  if (line === null) return void process.stdout.write(`${usageOf(program)}\n`);
  const { command, values, flags } = line;
  const print = printer(flags.has('json'));
  const [first = '', second = ''] = line.words;
  const usage = usageOf(program);
  if (command === 'add' && !values.name) throw new Refusal(`add needs --name with the name of the model.\n${usage}`, 2);
  const stray = [...Object.keys(values), ...flags].find((name) => !(OPTIONS[command] ?? ['json']).includes(name));
  if (stray !== undefined) throw new Refusal(`${command} takes no --${stray}.\n${usage}`, 2);
  const config = loadConfig(withServers(env, root));
  const dir = config.modelsDir;
  if (command === 'check') {
    const result = await check({ dir, wanted: line.words[0], config });
    print(textOf(result), result);
    process.exitCode = isGood(result) ? 0 : 1;
    return;
  }
  if (command === 'tune') {
    const { p99, input, seconds } = values;
    return tune({ dir, wanted: first, options: { p99, input, seconds, write: flags.has('write') }, config, print });
  }
  if (command === 'add')
    return add({ dir, file: first, name: values.name ?? '', version: values.version, config, print });
  await onRegistry(config, async (pool) => {
    if (command === 'list') return await list(pool, print);
    const isPromotion = command === 'promote';
    await change(config, () =>
      isPromotion
        ? setAlias(pool, { tenant: TENANT, model: first, alias: 'production' }, second)
        : retireVersion(pool, { tenant: TENANT, model: first, version: second }),
    );
    if (isPromotion) print(`${first}: production is ${second}`, { model: first, production: second });
    else print(`${first}/${second} is retired`, { model: first, version: second, status: 'retired' });
  });
}

async function onRegistry(config: Config, use: (pool: Pool) => Promise<void>): Promise<void> {
  const pool = createPool({
    databaseUrl: config.databaseUrl,
    max: 2,
    statementTimeoutMs: 10_000,
    applicationName: 'millrace-models',
  });
  try {
    await checkPostgres(pool, config.databaseUrl);
    await use(pool);
  } finally {
    await pool.end();
  }
}
