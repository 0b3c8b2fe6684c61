/** `npm run models`: the models folder and the registry from the command line. */
import { copyFile, cp, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { createReadThrough } from '@millrace/shared/cache/read-through';
import { ApiError } from '@millrace/shared/errors';
import type { ModelConfig } from '@millrace/shared/model-files/model-config';
import { ModelFileError, mayShareAnswers } from '@millrace/shared/model-files/model-config';
import {
  externalPath,
  type FolderProblem,
  listVersions,
  MODEL_NAME,
  readVersion,
  type VersionFiles,
} from '@millrace/shared/model-files/model-folder';
import { readOnnxFile } from '@millrace/shared/model-files/onnx-file';
import { createPool, type Pool, PostgresError } from '@millrace/shared/postgres/db';
import { checkPostgres } from '@millrace/shared/postgres/migrate';
import { type Config, ConfigError, loadConfig } from '@millrace/shared/process/config';
import { connectRedis, waitForRedis } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import type { RedisSetting } from '@millrace/shared/redis/redis-fault';
import { redisServerOf } from '@millrace/shared/redis/redis-store';
import { compareVersions, loadRegistry, retireVersion, setAlias } from '@millrace/shared/registry/registry';
import { announceRegistryChange } from '@millrace/shared/registry/registry-cache';
import { mismatchOf } from '@millrace/shared/registry/registry-mismatch';
import { nearNames } from '@millrace/shared/text/near-names';
import pino from 'pino';
import { createVerifier } from '../apps/worker/src/models/verifier.ts';
import { Refusal, readCommandLine } from './cli/command-line.ts';
import { withServers } from './cli/local-servers.ts';

const USAGE = `usage: npm run models -- COMMAND
  list                                   models and versions, as the registry has them
  check [NAME[/VERSION]]                 load what the folder has in a limited engine, and say what is wrong with it
  add FILE --name NAME [--version V]     check a file and put it into the folder; running workers take it up
  promote NAME VERSION                   point the alias production at a version
  retire NAME VERSION                    take a version out of service for good

The folder is MODELS_DIR; the registry is in DATABASE_URL, and REDIS_URL is told of its changes. Where none of these is
set, they are those of the \`npm start\` that runs in this folder.`;

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
    for (const one of versions) {
      const { version, state, digest } = one;
      const reason = one.reason ?? mismatchOf(one);
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
  if (chosen.length === 0) throw new Refusal(noneIn(dir, wanted, versions, problems));
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
        const { signature, config: settings } = verdict.verified;
        const { rows, answers } = settings.findings ?? {};
        const tensors = (list: typeof signature.inputs) =>
          list
            .map(({ name: tensor, dtype, shape }) => `${tensor} ${dtype}[${shape.map((dim) => dim || '?').join(', ')}]`)
            .join('; ');
        say(`${name}: good`);
        say(`  inputs   ${tensors(signature.inputs)}`);
        say(`  outputs  ${tensors(signature.outputs)}`);
        say(
          `  batches  ${settings.rowIndependent ? `up to ${settings.maxBatch} rows` : 'none: one prediction a run'} (${rows?.reason})`,
        );
        say(`  cache    ${cacheText(settings)}${answers?.deterministic ? '' : ` (${answers?.reason})`}`);
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

function cacheText(settings: ModelConfig): string {
  if (mayShareAnswers(settings)) return `answers are kept for ${settings.cache.ttlS} s`;
  return settings.cache.enabled ? 'none: equal questions get different answers' : 'none: model.json says so';
}

function noneIn(
  dir: string,
  wanted: string | undefined,
  versions: readonly VersionFiles[],
  problems: readonly FolderProblem[],
): string {
  if (wanted === undefined)
    return [
      `There is no model in ${dir}: it needs NAME/VERSION/model.onnx.`,
      ...problems.map(({ path: where, message }) => `${where}: ${message}`),
    ].join('\n');
  const names = new Set(versions.flatMap(({ model, version }) => [model, `${model}/${version}`]));
  const near = nearNames(wanted, names);
  return `There is no ${wanted} in ${dir}.${near.length > 0 ? ` Did you mean ${near.join(', ')}?` : ''}`;
}

async function add(
  dir: string,
  file: string,
  name: string,
  version: string | undefined,
  config: Config,
): Promise<void> {
  for (const [what, text] of [
    ['model', name],
    ['version', version ?? '1'],
  ] as const)
    if (!MODEL_NAME.test(text))
      throw new Refusal(
        `'${text}' is no name for a ${what}: at most 100 of a-z, 0-9, '.', '_' and '-', a letter or digit first.`,
      );
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
    await copyFile(file, path.join(target, 'model.onnx')).catch((error: NodeJS.ErrnoException) => {
      throw new Refusal(`${file} cannot be read (${error.code}): an .onnx file was expected.`);
    });
    // External data lies beside the file, and belongs to the version.
    for (const location of await externalDataOf(path.join(target, 'model.onnx')))
      await copyInto(target, path.dirname(file), location);
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

/** Relative paths that the model reads its weights from; what is no ONNX file is for the check to say. */
const externalDataOf = (file: string): Promise<readonly string[]> =>
  readOnnxFile(file).then(
    ({ externalData }) => externalData,
    () => [],
  );

async function copyInto(target: string, from: string, location: string): Promise<void> {
  // Throws for a path that leaves the folder.
  const place = externalPath(target, location);
  await mkdir(path.dirname(place), { recursive: true });
  await copyFile(path.join(from, location), place).catch((error: NodeJS.ErrnoException) => {
    throw new Refusal(`The model reads its data from "${location}", which is not beside it (${error.code}).`);
  });
}

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
    const readThrough = createReadThrough({ redis: cacheRedis, keys, ttlMs: config.queryTtlMs });
    const publish = (tenant: string) => redis.publish(keys.registryChannel(), tenant);
    await announceRegistryChange({ readThrough, tenant: TENANT, publish });
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
  if (command !== 'add' && (values.name ?? values.version) !== undefined)
    throw new Refusal(`${command} takes no --name or --version.\n${USAGE}`, 2);
  const config = loadConfig(withServers(process.env, path.dirname(import.meta.dirname)));
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
  const plain = [Refusal, ApiError, ModelFileError, PostgresError, ConfigError].some((kind) => error instanceof kind);
  process.stderr.write(`${plain || / cannot be reached: /.test(error.message) ? error.message : error.stack}\n`);
  process.exitCode = error instanceof Refusal ? error.exitCode : 1;
});
