/** `models tune`: measures a version of the folder with several settings, and finds the setting with the highest rate. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { ModelConfig } from '@millrace/shared/model-files/model-config';
import { listVersions } from '@millrace/shared/model-files/model-folder';
import { type FoundVersion, readVersion } from '@millrace/shared/model-files/read-version';
import type { Row } from '@millrace/shared/predictions/task';
import type { Config } from '@millrace/shared/process/config';
import { compareVersions } from '@millrace/shared/registry/registry';
import { tensorRowBytes } from '@millrace/shared/tensors/tensor-bytes';
import { tensorsOfRow } from '@millrace/shared/tensors/tensor-rows';
import { Devices } from '@millrace/worker/devices';
import { choose, type Measured, sweep } from '@millrace/worker/tuning';
import { createVerifier, handlerOf, readEntities } from '@millrace/worker/verifier';
import pino from 'pino';
import { Refusal } from './command-line.ts';

export interface TuneOptions {
  /** A duration, such as `50ms` or `0.2s`. */
  p99: string | undefined;
  /** A file with the JSON of an input. */
  input: string | undefined;
  seconds: string | undefined;
  write: boolean;
}

interface TuneParams {
  /** The folder of the models. */
  dir: string;
  /** A model, whose latest version is measured, or `model/version`. */
  wanted: string;
  options: TuneOptions;
  config: Config;
  print(text: string, json: unknown): void;
}

const MIB = 1_048_576;
/** The largest micro-batch of the measurement, for models without `max_batch`. */
const ROWS_MAX = 256;

export async function tune({ dir, wanted, options, config, print }: TuneParams): Promise<void> {
  const p99Ms = durationMs(options.p99);
  const seconds = secondsOf(options.seconds);
  const found = await findVersion(path.resolve(dir), wanted);
  const name = `${found.model}/${found.version}`;
  const { version, row, maxBatch, provider } = await prepare(found, { config, input: options.input });
  const cores = availableParallelism();
  const { stderr } = process;
  const measured = await sweep({
    version,
    row,
    cores,
    maxBatch,
    p99Ms,
    seconds,
    memoryBytes: config.engineMemoryMb * MIB,
    loadTimeoutMs: config.loadTimeoutMs,
    log: pino({ level: 'silent' }),
    onMeasured: (one) => stderr.isTTY && stderr.write(`${lineOf(one)}\n`),
  }).catch((error: Error) => {
    throw new Refusal(`${name} cannot be measured: ${error.message}`);
  });
  const chosen = choose(measured, p99Ms);
  const written = chosen !== undefined && options.write ? await write(found, chosen) : null;
  print(textOf({ name, provider, p99Ms, cores, measured, chosen, written }), {
    model: found.model,
    version: found.version,
    provider,
    p99_ms: p99Ms,
    measured: measured.map(jsonOf),
    chosen: chosen === undefined ? null : jsonOf(chosen),
    written,
  });
  if (chosen === undefined) process.exitCode = 1;
}

function durationMs(text: string | undefined): number {
  const [, number, unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(text ?? '') ?? [];
  const ms = Number(number) * (unit === 's' ? 1_000 : 1);
  if (!(ms > 0)) throw new Refusal('tune needs --p99 with a duration, such as --p99 50ms or --p99 0.2s.', 2);
  return ms;
}

function secondsOf(text = '1'): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 600) return seconds;
  throw new Refusal(`--seconds must be a number above 0 and at most 600, and is '${text}'.`, 2);
}

async function findVersion(dir: string, wanted: string): Promise<FoundVersion> {
  const { versions } = await listVersions(dir);
  const named = versions.filter(({ model, version }) => wanted === model || wanted === `${model}/${version}`);
  const latest = named.sort((a, b) => compareVersions(a.version, b.version)).at(-1);
  if (latest === undefined)
    throw new Refusal(`There is no ${wanted} in ${dir}. Expected NAME or NAME/VERSION with NAME/VERSION/model.onnx.`);
  return readVersion(latest).catch((error: Error) => {
    throw new Refusal(`${wanted}: ${error.message}`);
  });
}

/** Verifies the version as a worker does. Returns the version that the engines of the measurement load, and the row of all callers. */
async function prepare(found: FoundVersion, { config, input }: { config: Config; input: string | undefined }) {
  const log = pino({ level: 'silent' });
  const devices = new Devices({ names: config.engineDevices, log });
  const given = input === undefined ? {} : { input: await readInput(input) };
  const limits = { memoryBytes: config.loadMemoryMb * MIB, timeoutMs: config.loadTimeoutMs };
  const verifier = createVerifier({ ...limits, devices, log, row: given });
  const verdict = await verifier.verify(found).finally(() => verifier.close());
  if (!verdict.ok || verdict.row === undefined)
    throw new Refusal(`${found.model}/${found.version}: ${verdict.ok ? 'no row was returned' : verdict.reason}`);
  const choice = await devices.choose(found.file.engine);
  if ('reason' in choice) throw new Refusal(choice.reason);
  const { verified, row: text } = verdict;
  const { config: settings, signature } = verified;
  const handler = handlerOf(found);
  const version = {
    key: found.digest,
    model: found.model,
    version: found.version,
    content: found.content,
    handler,
    entities: await readEntities(found),
    labels: settings.labels,
    maxBatch: settings.maxBatch,
    timeoutMs: settings.timeoutMs,
    signature,
    engine: choice.engine,
  };
  // A worker gets the rows of raw tensors as bytes.
  const row: Row = handler === null ? tensorRowBytes(tensorsOfRow(JSON.parse(text))) : text;
  const provider = choice.engine.providers[0]?.name ?? 'cpu';
  return { version, row, maxBatch: mostRows(settings, found.file.max_batch), provider };
}

const mostRows = ({ rowIndependent }: ModelConfig, maxBatch = ROWS_MAX): number =>
  rowIndependent ? Math.max(ROWS_MAX, maxBatch) : 1;

async function readInput(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Refusal(`${file} cannot be read (${error.code}). Expected a file with the JSON of an input.`);
  });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal(`${file} is not JSON: ${(error as Error).message}. Expected the JSON of an input.`);
  }
}

const jsonOf = ({ instances, threads, maxBatch, rowsPerS, p50Ms, p99Ms }: Measured) => ({
  instances,
  threads,
  max_batch: maxBatch,
  rows_per_s: rounded(rowsPerS),
  p50_ms: rounded(p50Ms),
  p99_ms: rounded(p99Ms),
});

const rounded = (number: number): number => Math.round(number * 1_000) / 1_000;

const HEAD = 'INSTANCES  THREADS  MAX_BATCH     ROWS/S    P50 MS    P99 MS';

const lineOf = ({ instances, threads, maxBatch, rowsPerS, p50Ms, p99Ms }: Measured): string =>
  [
    String(instances).padStart(9),
    String(threads).padStart(7),
    String(maxBatch).padStart(9),
    rowsPerS.toFixed(1).padStart(9),
    p50Ms.toFixed(2).padStart(8),
    p99Ms.toFixed(2).padStart(8),
  ].join('  ');

interface Result {
  name: string;
  provider: string;
  p99Ms: number;
  cores: number;
  measured: readonly Measured[];
  chosen: Measured | undefined;
  /** The changed file. */
  written: string | null;
}

function textOf({ name, provider, p99Ms, cores, measured, chosen, written }: Result): string {
  const table = [HEAD, ...measured.map((one) => `${lineOf(one)}${one === chosen ? '  *' : ''}`)];
  const head = `${name} on ${provider}, ${cores} cores. The latency of a row includes the wait for the micro-batch before.`;
  if (chosen === undefined) {
    const least = Math.min(...measured.map((one) => one.p99Ms));
    return [head, ...table, `No setting has a p99 of at most ${p99Ms} ms: the least is ${least.toFixed(2)} ms.`].join(
      '\n',
    );
  }
  const { instances, threads, maxBatch } = chosen;
  const engine = `"engine": { "threads": ${threads}, "instances": ${instances} }`;
  const needs =
    instances > Math.max(1, Math.floor(cores / 2)) ? [`${instances} instances need ENGINES=${instances}.`] : [];
  const what = written === null ? 'For model.json (--write writes the fields)' : `Written to ${written}`;
  return [head, ...table, `${what}: "max_batch": ${maxBatch}, ${engine}`, ...needs].join('\n');
}

/** Writes the setting to the model.json that decides for the version. Returns the path of the file. */
async function write({ modelPath }: FoundVersion, chosen: Measured): Promise<string> {
  const folder = path.resolve(modelPath, modelPath.endsWith('model.onnx/model.onnx') ? '../..' : '..');
  const own = path.join(folder, 'model.json');
  const shared = path.join(folder, '../model.json');
  const ownSettings = await readSettings(own);
  const decides = ownSettings !== undefined && ('max_batch' in ownSettings || 'engine' in ownSettings);
  const target = decides ? own : shared;
  const settings = decides ? ownSettings : ((await readSettings(shared)) ?? {});
  const { instances, threads, maxBatch } = chosen;
  const engine = { ...(settings.engine as object | undefined), threads, instances };
  const changed = { ...settings, max_batch: maxBatch, engine };
  const fresh = `${target}.${process.pid}.new`;
  try {
    await writeFile(fresh, `${JSON.stringify(changed, null, 2)}\n`, { flag: 'wx' });
    await rename(fresh, target);
  } finally {
    await rm(fresh, { force: true });
  }
  return target;
}

const readSettings = (file: string): Promise<Record<string, unknown> | undefined> =>
  readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as Record<string, unknown>,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw new Refusal(`${file} cannot be read (${error.code}).`);
    },
  );
