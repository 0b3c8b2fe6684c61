/** The commands for the models of this machine: list, check, add, promote and retire versions. */
import { copyFile, cp, mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { ReadThrough } from '@millrace/shared/cache/read-through';
import { type ModelConfig, mayShareResults } from '@millrace/shared/model-files/model-config';
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
import { type Config, loadConfig } from '@millrace/shared/process/config';
import { connectRedis, waitForRedis } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import type { RedisSetting } from '@millrace/shared/redis/redis-fault';
import { redisServerOf } from '@millrace/shared/redis/redis-store';
import { retireVersion, setAlias } from '@millrace/shared/registry/aliases';
import { compareVersions, loadRegistry } from '@millrace/shared/registry/registry';
import { announceRegistryChange } from '@millrace/shared/registry/registry-cache';
import { mismatchOf } from '@millrace/shared/registry/registry-mismatch';
import { nearNames } from '@millrace/shared/text/near-names';
import { Devices } from '@millrace/worker/devices';
import { createVerifier, type ExampleReport, type Verdict } from '@millrace/worker/verifier';
import pino from 'pino';
import { Refusal, readCommandLine } from './command-line.ts';
import { reportFailure } from './failure.ts';
import { withServers } from './local-servers.ts';
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

/** Prints a result as text or as JSON. */
export type Print = (text: string, json: unknown) => void;

const printer =
  (json: boolean): Print =>
  (text, value) =>
    void process.stdout.write(`${json ? JSON.stringify(value) : text}\n`);

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

interface CheckParams {
  dir: string;
  /** A model, or `model/version`; every version of the folder when absent. */
  wanted: string | undefined;
  config: Config;
}

interface Checked {
  /** `model/version`. */
  name: string;
  ok: boolean;
  /** Why the version cannot be served; null for a good version. */
  reason: string | null;
  /** The findings of a good version, a line each. */
  findings: readonly string[];
}

interface CheckResult {
  /** Folders that are no model. */
  problems: readonly FolderProblem[];
  versions: readonly Checked[];
}

const isGood = ({ problems, versions }: CheckResult) => problems.length === 0 && versions.every(({ ok }) => ok);

const textOf = ({ problems, versions }: CheckResult) =>
  [
    ...problems.map(({ path: where, message }) => `${where}: ${message}`),
    ...versions.flatMap(({ name, reason, findings }) => [`${name}: ${reason ?? 'good'}`, ...findings]),
  ].join('\n');

/** Loads the versions in a limited engine. */
async function check({ dir, wanted, config }: CheckParams): Promise<CheckResult> {
  const { versions, problems } = await listVersions(path.resolve(dir));
  const chosen = versions.filter(
    ({ model, version }) => wanted === undefined || wanted === model || wanted === `${model}/${version}`,
  );
  if (chosen.length === 0)
    throw new Refusal(wanted === undefined ? noModelIn(dir, problems) : noVersion(dir, wanted, versions));
  const log = pino({ level: 'silent' });
  const verifier = createVerifier({
    memoryBytes: config.loadMemoryMb * 1_048_576,
    timeoutMs: config.loadTimeoutMs,
    devices: new Devices({ names: config.engineDevices, log }),
    log,
    reportsExamples: true,
  });
  const checked: Checked[] = [];
  try {
    for (const files of chosen) {
      const verdict: Verdict = await readVersion(files).then(
        (found) => verifier.verify(found),
        (error: Error) => ({ ok: false as const, reason: error.message }),
      );
      checked.push(checkedOf(files, verdict));
    }
  } finally {
    await verifier.close();
  }
  return { problems: wanted === undefined ? problems : [], versions: checked };
}

function checkedOf({ model, version, handlerPath }: VersionFiles, verdict: Verdict): Checked {
  const name = `${model}/${version}`;
  const examples = verdict.examples ?? [];
  const lines = examples.flatMap(exampleLines);
  if (!verdict.ok) return { name, ok: false, reason: verdict.reason, findings: lines };
  const findings = findingsOf(verdict.verified);
  if (handlerPath !== null && examples.length === 0) findings.push(NO_EXAMPLES);
  const failed = examples.findIndex(({ failure }) => failure !== null);
  const reason = failed < 0 ? null : `Example ${failed + 1} of model.json fails: see below.`;
  return { name, ok: failed < 0, reason, findings: [...findings, ...lines] };
}

const NO_EXAMPLES =
  '  examples none, so canonicalize, encode and decode did not run: add "examples" with an input to model.json';

/** The stages of an example, a line each. */
function exampleLines({ lines, failure }: ExampleReport, at: number): string[] {
  const title = `  example ${at + 1}`;
  const passed = [title, ...lines.map((line) => `    ${line}`)];
  if (failure === null) return passed;
  const { stage, place, message, pointer } = failure;
  const where = [place, pointer && `input ${pointer}`].filter(Boolean).join(', ');
  return [...passed, `    ${(stage ?? 'run').padEnd(13)} fails${where === '' ? '' : ` (${where})`}: ${message}`];
}

type Verified = Extract<Verdict, { ok: true }>['verified'];

function findingsOf({ signature, config }: Verified): string[] {
  const { rows, answers } = config.findings ?? {};
  const tensors = (list: typeof signature.inputs) =>
    list
      .map(({ name: tensor, dtype, shape }) => `${tensor} ${dtype}[${shape.map((dim) => dim || '?').join(', ')}]`)
      .join('; ');
  const batches = config.rowIndependent ? `up to ${config.maxBatch} rows` : 'none: each prediction runs alone';
  return [
    `  inputs   ${tensors(signature.inputs)}`,
    `  outputs  ${tensors(signature.outputs)}`,
    `  batches  ${batches} (${rows?.reason})`,
    `  cache    ${cacheText(config)}${answers?.deterministic ? '' : ` (${answers?.reason})`}`,
  ];
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
  print: Print;
}

/** Checks a file in a separate folder, then renames the folder: workers scan the models folder at any time. */
async function add({ dir, file, name, version, config, print }: AddParams): Promise<void> {
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
    for (const part of present) await copyPart(path.join(folder, part), path.join(trial, name, part));
    const result = await check({ dir: trial, wanted: `${name}/${chosen}`, config });
    if (!isGood(result))
      throw new Refusal(
        `${textOf(result)}\n${name}/${chosen} was not added. Correct the fault above and add the file again.`,
      );
    await mkdir(folder, { recursive: true });
    await rename(target, path.join(folder, chosen));
    const added = path.join(folder, chosen);
    print(`${textOf(result)}\nadded as ${added}`, { added, ...result.versions[0] });
  } finally {
    await rm(trial, { recursive: true, force: true });
  }
}

/** Copies what the versions of a model share: settings, the handler with its files, and entities. Links the installed packages. */
async function copyPart(from: string, to: string): Promise<void> {
  if (path.basename(from) === 'node_modules') return symlink(path.resolve(from), to, 'junction');
  if ((await readdir(from).catch((): string[] => [])).includes('model.onnx')) return;
  await cp(from, to, { recursive: true });
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
