/** `npm run models`: lists, checks, adds, promotes and retires model versions. */
import { copyFile, cp, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { createReadThrough } from '@millrace/shared/cache/read-through';
import { ApiError } from '@millrace/shared/errors';
import { type ModelConfig, ModelFileError, mayShareResults } from '@millrace/shared/model-files/model-config';
import {
  externalPath,
  type FolderProblem,
  listVersions,
  MODEL_NAME,
  readVersion,
  type VersionFiles,
} from '@millrace/shared/model-files/model-folder';
import { readOnnxFile } from '@millrace/shared/model-files/onnx-file';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { checkPostgres } from '@millrace/shared/postgres/migrate';
import { PostgresError } from '@millrace/shared/postgres/postgres-error';
import { type Config, ConfigError, loadConfig } from '@millrace/shared/process/config';
import { connectRedis, waitForRedis } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import type { RedisSetting } from '@millrace/shared/redis/redis-fault';
import { redisServerOf } from '@millrace/shared/redis/redis-store';
import { retireVersion, setAlias } from '@millrace/shared/registry/aliases';
import { compareVersions, loadRegistry } from '@millrace/shared/registry/registry';
import { announceRegistryChange } from '@millrace/shared/registry/registry-cache';
import { mismatchOf } from '@millrace/shared/registry/registry-mismatch';
import { nearNames } from '@millrace/shared/text/near-names';
import pino from 'pino';
import { createVerifier, type Verdict } from '../apps/worker/src/models/verifier.ts';
import { Refusal, readCommandLine } from './cli/command-line.ts';
import { withServers } from './cli/local-servers.ts';

const USAGE = `usage: npm run models -- COMMAND
  list                                   list the models and versions of the registry
  check [NAME[/VERSION]]                 load the versions of the folder in a limited engine, and print the faults
  add FILE --name NAME [--version V]     check a file and copy it into the folder; running workers load the new version
  promote NAME VERSION                   point the alias production at a version
  retire NAME VERSION                    take a version out of service for good

MODELS_DIR is the folder, and DATABASE_URL has the registry. Changes are published on REDIS_URL. When none of these variables
is set, the command uses the servers of the \`npm start\` that runs in this folder.`;

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
const print = (text: string) => process.stdout.write(`${text}\n`);

async function list(pool: Pool): Promise<void> {
  const { models } = await loadRegistry(pool, TENANT);
  if (models.length === 0) print('No model is registered yet. A worker registers the models of its folder.');
  for (const { model, versions, aliases, defaultVersion } of models) {
    print(`${model}`);
    for (const registered of versions) {
      const { version, state, digest } = registered;
      const reason = registered.reason ?? mismatchOf(registered);
      const names = Object.entries(aliases)
        .filter(([, target]) => target === version)
        .map(([alias]) => alias);
      const marks = [...(version === defaultVersion ? ['default'] : []), ...names].join(', ');
      print(
        `  ${version}  ${state}  ${digest.slice(0, 12)}${marks ? `  (${marks})` : ''}${reason ? `  ${reason}` : ''}`,
      );
    }
  }
}

interface CheckParams {
  dir: string;
  /** A model, or `model/version`; every version of the folder when absent. */
  wanted: string | undefined;
  config: Config;
}

/** Loads the versions and prints the findings. Resolves to whether every version can be served. */
async function check({ dir, wanted, config }: CheckParams): Promise<boolean> {
  const { versions, problems } = await listVersions(path.resolve(dir));
  const chosen = versions.filter(
    ({ model, version }) => wanted === undefined || wanted === model || wanted === `${model}/${version}`,
  );
  if (chosen.length === 0)
    throw new Refusal(wanted === undefined ? noModelIn(dir, problems) : noVersion(dir, wanted, versions));
  if (wanted === undefined) for (const { path: where, message } of problems) print(`${where}: ${message}`);
  const verifier = createVerifier({
    memoryBytes: config.loadMemoryMb * 1_048_576,
    timeoutMs: config.loadTimeoutMs,
    log: pino({ level: 'silent' }),
  });
  let isGood = wanted !== undefined || problems.length === 0;
  try {
    for (const files of chosen) {
      const name = `${files.model}/${files.version}`;
      const verdict = await readVersion(files).then(
        (found) => verifier.verify(found),
        (error: Error) => ({ ok: false as const, reason: error.message }),
      );
      if (verdict.ok) printVerified(name, verdict.verified);
      else {
        isGood = false;
        print(`${name}: ${verdict.reason}`);
      }
    }
  } finally {
    await verifier.close();
  }
  return isGood;
}

type Verified = Extract<Verdict, { ok: true }>['verified'];

function printVerified(name: string, { signature, config }: Verified): void {
  const { rows, answers } = config.findings ?? {};
  const tensors = (list: typeof signature.inputs) =>
    list
      .map(({ name: tensor, dtype, shape }) => `${tensor} ${dtype}[${shape.map((dim) => dim || '?').join(', ')}]`)
      .join('; ');
  const batches = config.rowIndependent ? `up to ${config.maxBatch} rows` : 'none: each prediction runs alone';
  print(`${name}: good`);
  print(`  inputs   ${tensors(signature.inputs)}`);
  print(`  outputs  ${tensors(signature.outputs)}`);
  print(`  batches  ${batches} (${rows?.reason})`);
  print(`  cache    ${cacheText(config)}${answers?.deterministic ? '' : ` (${answers?.reason})`}`);
}

function cacheText(config: ModelConfig): string {
  if (mayShareResults(config)) return `results are kept for ${config.cache.ttlS} s`;
  return config.cache.enabled ? 'none: equal inputs get different results' : 'none: model.json disables the cache';
}

function noModelIn(dir: string, problems: readonly FolderProblem[]): string {
  return [
    `There is no model in ${dir}. Expected NAME/VERSION/model.onnx.`,
    ...problems.map(({ path: where, message }) => `${where}: ${message}`),
  ].join('\n');
}

function noVersion(dir: string, wanted: string, versions: readonly VersionFiles[]): string {
  const names = new Set(versions.flatMap(({ model, version }) => [model, `${model}/${version}`]));
  const near = nearNames(wanted, names);
  return `There is no ${wanted} in ${dir}.${near.length > 0 ? ` Did you mean ${near.join(', ')}?` : ''}`;
}

interface AddParams {
  dir: string;
  file: string;
  name: string;
  /** The next number when absent. */
  version: string | undefined;
  config: Config;
}

/** Checks a file in a folder of its own, then renames the folder: workers scan the models folder at any time. */
async function add({ dir, file, name, version, config }: AddParams): Promise<void> {
  requireName('model', name);
  requireName('version', version ?? '1');
  const folder = path.join(dir, name);
  const present = await readdir(folder).catch((): string[] => []);
  const numbers = present.filter((entry) => /^\d+$/.test(entry)).sort(compareVersions);
  const chosen = version ?? String(Number(numbers.at(-1) ?? 0) + 1);
  if (present.includes(chosen))
    throw new Refusal(`${name}/${chosen} exists already, and a version never changes. Choose another version.`);
  await mkdir(dir, { recursive: true });
  const trial = await mkdtemp(path.join(path.resolve(dir), '.adding-'));
  try {
    const target = path.join(trial, name, chosen);
    await copyModel(file, target);
    for (const part of ['model.json', 'handler.ts', 'entities'])
      if (present.includes(part)) await cp(path.join(folder, part), path.join(trial, name, part), { recursive: true });
    if (!(await check({ dir: trial, wanted: `${name}/${chosen}`, config })))
      throw new Refusal(`${name}/${chosen} was not added. Correct the fault above and add the file again.`);
    await mkdir(folder, { recursive: true });
    await rename(target, path.join(folder, chosen));
    print(`added as ${path.join(folder, chosen)}`);
  } finally {
    await rm(trial, { recursive: true, force: true });
  }
}

function requireName(kind: 'model' | 'version', text: string): void {
  if (MODEL_NAME.test(text)) return;
  throw new Refusal(
    `'${text}' is not a valid ${kind} name. Expected at most 100 of a-z, 0-9, '.', '_' and '-', with a letter or digit first.`,
  );
}

/** Copies the model file and its external data, which lies beside the file and belongs to the version. */
async function copyModel(file: string, target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  await copyFile(file, path.join(target, 'model.onnx')).catch((error: NodeJS.ErrnoException) => {
    throw new Refusal(`${file} cannot be read (${error.code}). Expected an .onnx file.`);
  });
  for (const location of await externalDataOf(path.join(target, 'model.onnx'))) {
    // Throws for a path outside the folder.
    const place = externalPath(target, location);
    await mkdir(path.dirname(place), { recursive: true });
    await copyFile(path.join(path.dirname(file), location), place).catch((error: NodeJS.ErrnoException) => {
      throw new Refusal(`The model reads its data from "${location}", which is not beside the model (${error.code}).`);
    });
  }
}

/** Returns the relative paths of the model's weights. A file that is not ONNX has none here; the check reports the file. */
const externalDataOf = (file: string): Promise<readonly string[]> =>
  readOnnxFile(file).then(
    ({ externalData }) => externalData,
    () => [],
  );

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
  if (line === null) return void print(USAGE);
  const { command, values } = line;
  const [first = '', second = ''] = line.words;
  if (command === 'add' && !values.name) throw new Refusal(`add needs --name with the name of the model.\n${USAGE}`, 2);
  if (command !== 'add' && (values.name ?? values.version) !== undefined)
    throw new Refusal(`${command} takes no --name or --version.\n${USAGE}`, 2);
  const config = loadConfig(withServers(process.env, path.dirname(import.meta.dirname)));
  const dir = config.modelsDir;
  if (command === 'check') {
    process.exitCode = (await check({ dir, wanted: line.words[0], config })) ? 0 : 1;
    return;
  }
  if (command === 'add') return add({ dir, file: first, name: values.name ?? '', version: values.version, config });
  const pool = createPool({
    databaseUrl: config.databaseUrl,
    max: 2,
    statementTimeoutMs: 10_000,
    applicationName: 'millrace-models',
  });
  try {
    await checkPostgres(pool, config.databaseUrl);
    if (command === 'list') return await list(pool);
    const name = { tenant: TENANT, model: first, version: second };
    await change(config, () =>
      command === 'promote' ? setAlias(pool, { tenant: TENANT, model: first, alias: 'production' }, second) : retireVersion(pool, name),
    );
    print(command === 'promote' ? `${first}: production is ${second}` : `${first}/${second} is retired`);
  } finally {
    await pool.end();
  }
}

await main().catch((error: Error) => {
  const isForOperator = [Refusal, ApiError, ModelFileError, PostgresError, ConfigError].some(
    (kind) => error instanceof kind,
  );
  process.stderr.write(
    `${isForOperator || / cannot be reached: /.test(error.message) ? error.message : error.stack}\n`,
  );
  process.exitCode = error instanceof Refusal ? error.exitCode : 1;
});
