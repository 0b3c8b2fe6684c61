/** Checks versions of the models folder in a limited engine, and writes the findings as text. */
import path from 'node:path';
import { type ModelConfig, mayShareResults } from '@millrace/shared/model-files/model-config';
import { type FolderProblem, listVersions, type VersionFiles } from '@millrace/shared/model-files/model-folder';
import { readVersion } from '@millrace/shared/model-files/read-version';
import type { Config } from '@millrace/shared/process/config';
import { nearNames } from '@millrace/shared/text/near-names';
import { Devices } from '@millrace/worker/devices';
import { createVerifier, type ExampleReport, type Verdict } from '@millrace/worker/verifier';
import pino from 'pino';
import { Refusal } from './command-line.ts';

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

export const isGood = ({ problems, versions }: CheckResult) => problems.length === 0 && versions.every(({ ok }) => ok);

export const textOf = ({ problems, versions }: CheckResult) =>
  [
    ...problems.map(({ path: where, message }) => `${where}: ${message}`),
    ...versions.flatMap(({ name, reason, findings }) => [`${name}: ${reason ?? 'good'}`, ...findings]),
  ].join('\n');

/** Loads the versions in a limited engine. */
export async function check({ dir, wanted, config }: CheckParams): Promise<CheckResult> {
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
