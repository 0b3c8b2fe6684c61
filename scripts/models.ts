/** `npm run models`: the models folder and the registry from the command line. */
import { cp, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Config, ConfigError, loadConfig } from '@millrace/shared/config';
import { createPool, type Pool, PostgresError } from '@millrace/shared/db';
import { ApiError } from '@millrace/shared/errors';
import { keysFor } from '@millrace/shared/keys';
import { checkPostgres } from '@millrace/shared/migrate';
import { listVersions, MODEL_NAME, readVersion } from '@millrace/shared/model-folder';
import { createReadThrough } from '@millrace/shared/read-through';
import { connectRedis, waitForRedis } from '@millrace/shared/redis';
import { compareVersions, loadRegistry, retireVersion, setAlias } from '@millrace/shared/registry';
import { announceRegistryChange } from '@millrace/shared/registry-cache';
import pino from 'pino';
import { createVerifier } from '../apps/worker/src/models/verifier.ts';
import { Refusal, readCommandLine } from './command-line.ts';

const USAGE = `usage: npm run models -- COMMAND
  list                                   models and versions, as the registry has them
  check [NAME[/VERSION]]                 load what the folder has in a limited engine, and say what is wrong with it
  add FILE --name NAME [--version V]     check a file and put it into the folder; running workers take it up
  promote NAME VERSION                   point the alias production at a version
  retire NAME VERSION                    take a version out of service for good`;

const LINE = {
  usage: USAGE,
  commands: {
    list: { least: 0, most: 0 },
    check: { least: 0, most: 1 },
    add: { least: 1, most: 1 },
    promote: { least: 2, most: 2 },
    retire: { least: 2, most: 2 },
  },
  options: { name: { type: 'string' }, version: { type: 'string' } },
} as const;
const TENANT = 'default';
const say = (text: string) => process.stdout.write(`${text}\n`);

async function list(pool: Pool): Promise<void> {
  const { models } = await loadRegistry(pool, TENANT);
  if (models.length === 0) say('No model is registered yet: a worker registers what it finds in its folder.');
  for (const { model, versions, aliases, defaultVersion } of models) {
    say(`${model}`);
    for (const { version, state, reason, digest } of versions) {
      const names = Object.entries(aliases)
        .filter(([, target]) => target === version)
        .map(([alias]) => alias);
      const marks = [...(version === defaultVersion ? ['default'] : []), ...names].join(', ');
      say(`  ${version}  ${state}  ${digest.slice(0, 12)}${marks ? `  (${marks})` : ''}${reason ? `  ${reason}` : ''}`);
    }
  }
}

/** Whether all versions asked about can be served. */
async function check(dir: string, wanted: string | undefined, config: Config): Promise<boolean> {
  const { versions, problems } = await listVersions(path.resolve(dir));
  const chosen = versions.filter(
    ({ model, version }) => wanted === undefined || wanted === model || wanted === `${model}/${version}`,
  );
  if (chosen.length === 0) throw new Refusal(`There is no ${wanted ?? 'model'} in ${dir}.`);
  if (wanted === undefined) for (const { path: where, message } of problems) say(`${where}: ${message}`);
  const verifier = createVerifier({
    memoryBytes: config.loadMemoryMb * 1_048_576,
    timeoutMs: config.loadTimeoutMs,
    log: pino({ level: 'silent' }),
  });
  let well = wanted !== undefined || problems.length === 0;
  try {
    for (const files of chosen) {
      const name = `${files.model}/${files.version}`;
      const verdict = await readVersion(files).then(
        (found) => verifier.verify(found),
        (error: Error) => ({ ok: false as const, reason: error.message }),
      );
      if (verdict.ok) {
        const { signature, rowTrial, config: settings } = verdict.verified;
        const tensors = (list: typeof signature.inputs) =>
          list
            .map(({ name: tensor, dtype, shape }) => `${tensor} ${dtype}[${shape.map((dim) => dim || '?').join(', ')}]`)
            .join('; ');
        say(`${name}: good`);
        say(`  inputs   ${tensors(signature.inputs)}`);
        say(`  outputs  ${tensors(signature.outputs)}`);
        say(
          `  batches  ${settings.rowIndependent ? `up to ${settings.maxBatch} rows` : 'none: one prediction a run'} (${rowTrial})`,
        );
      } else {
        well = false;
        say(`${name}: ${verdict.reason}`);
      }
    }
  } finally {
    await verifier.close();
  }
  return well;
}

async function add(
  dir: string,
  file: string,
  name: string,
  version: string | undefined,
  config: Config,
): Promise<void> {
  if (!MODEL_NAME.test(name))
    throw new Refusal(`'${name}' is no name for a model: lower-case letters, digits, '.', '_' and '-'.`);
  const folder = path.join(dir, name);
  const present = await readdir(folder).catch(() => [] as string[]);
  const numbers = present.filter((entry) => /^\d+$/.test(entry)).sort(compareVersions);
  const chosen = version ?? String(Number(numbers.at(-1) ?? 0) + 1);
  if (present.includes(chosen))
    throw new Refusal(`${name}/${chosen} is there already, and versions never change: choose another.`);
  await mkdir(dir, { recursive: true });
  // Checked apart, and moved in whole: workers look at the folder all the time.
  const trial = await mkdtemp(path.join(path.resolve(dir), '.adding-'));
  try {
    const target = path.join(trial, name, chosen);
    await mkdir(target, { recursive: true });
    await cp(file, path.join(target, 'model.onnx')).catch(() => {
      throw new Refusal(`${file} cannot be read.`);
    });
    for (const part of ['model.json', 'handler.ts', 'entities'])
      if (present.includes(part)) await cp(path.join(folder, part), path.join(trial, name, part), { recursive: true });
    if (!(await check(trial, `${name}/${chosen}`, config))) throw new Refusal('It was not added.');
    await mkdir(folder, { recursive: true });
    await rename(target, path.join(folder, chosen));
    say(`added as ${path.join(folder, chosen)}`);
  } finally {
    await rm(trial, { recursive: true, force: true });
  }
}

async function change(config: Config, make: () => Promise<void>): Promise<void> {
  const connect = (url: string) => connectRedis(url, 'producer', { cluster: config.redisCluster, timeoutMs: 5_000 });
  const redis = connect(config.redisUrl);
  const cacheRedis = connect(config.cacheRedisUrl);
  try {
    await waitForRedis(redis, 'The queue Redis (REDIS_URL)', 5_000);
    await waitForRedis(cacheRedis, 'The cache Redis (CACHE_REDIS_URL)', 5_000);
    await make();
    const keys = keysFor(config.keyPrefix);
    const readThrough = createReadThrough({ redis: cacheRedis, keys, ttlMs: config.queryTtlMs });
    await announceRegistryChange({ redis, keys, readThrough, tenant: TENANT });
    readThrough.close();
  } finally {
    redis.disconnect();
    cacheRedis.disconnect();
  }
}

async function main(): Promise<void> {
  const line = readCommandLine(LINE, process.argv.slice(2));
  if (line === null) return void say(USAGE);
  const { command, values } = line;
  const [first, second] = line.words;
  if (command === 'add' && !values.name) throw new Refusal(`add needs --name: the model's name.\n${USAGE}`, 2);
  const config = loadConfig(process.env);
  const dir = config.modelsDir;
  if (command === 'check') {
    process.exitCode = (await check(dir, first, config)) ? 0 : 1;
    return;
  }
  if (command === 'add') return add(dir, first as string, values.name as string, values.version, config);
  const pool = createPool({
    databaseUrl: config.databaseUrl,
    max: 2,
    statementTimeoutMs: 10_000,
    applicationName: 'millrace-models',
  });
  try {
    await checkPostgres(pool, config.databaseUrl);
    if (command === 'list') return await list(pool);
    const name = { tenant: TENANT, model: first as string, version: second as string };
    await change(config, () =>
      command === 'promote' ? setAlias(pool, name, 'production') : retireVersion(pool, name),
    );
    say(command === 'promote' ? `${first}: production is ${second}` : `${first}/${second} is retired`);
  } finally {
    await pool.end();
  }
}

await main().catch((error: Error) => {
  const plain = [Refusal, ApiError, PostgresError, ConfigError].some((kind) => error instanceof kind);
  process.stderr.write(`${plain || / cannot be reached: /.test(error.message) ? error.message : error.stack}\n`);
  process.exitCode = error instanceof Refusal ? error.exitCode : 1;
});
