/**
 * The first load of a model file, in an engine of its own with limits on memory and time: what ends that engine, or is
 * refused there, ends there, with a reason for its owner.
 */
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EntityCsvError, parseEntityCsv } from '@millrace/shared/entity-csv';
import type { Entity } from '@millrace/shared/handler';
import { resolveModelConfig } from '@millrace/shared/model-config';
import { contentBytes, type FoundVersion } from '@millrace/shared/model-folder';
import { readOnnxFile } from '@millrace/shared/onnx-file';
import type { ModelConfig } from '@millrace/shared/registry-types';
import type { Logger } from 'pino';
import { Engine } from '../engine/engine.ts';
import { EngineError } from '../engine/engine-error.ts';
import type { Schemas } from '../engine/probe.ts';
import { isCandidate, type TrialResult } from '../engine/row-trial.ts';
import { RefusedModelError, refuseByFile, type Signature, signatureOf } from './signature.ts';

export interface VerifyOptions {
  memoryBytes: number;
  timeoutMs: number;
  log: Logger;
}

interface Verified {
  signature: Signature;
  config: ModelConfig;
  inputSchema: unknown;
  outputSchema: unknown;
  /** How row independence was decided. */
  rowTrial: string;
}

export type Verdict = { ok: true; verified: Verified } | { ok: false; reason: string; engineEnded?: boolean };

/** Verifies one version after the other, in one engine for as long as that one is sound. */
export interface Verifier {
  verify(found: FoundVersion): Promise<Verdict>;
  close(): Promise<void>;
}

// An engine that grew by what it loaded has less room for the next: a fresh one gives each the same.
const FRESH_ABOVE = 0.3;

export function createVerifier(options: VerifyOptions): Verifier {
  const { memoryBytes, timeoutMs, log } = options;
  let engine: Engine | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  let closed = false;

  async function limited(): Promise<Engine> {
    if (engine?.alive) return engine;
    engine = await Engine.start({
      threads: 1,
      memoryLimitBytes: memoryBytes,
      onOutput: (line) => log.debug({ line: line.slice(0, 500) }, 'verifying engine output'),
    });
    return engine;
  }

  async function verify(found: FoundVersion): Promise<Verdict> {
    try {
      const onnx = await readOnnxFile(found.modelPath);
      refuseByFile(onnx);
      const entities = await readEntities(found);
      const request = { content: found.content, handler: handlerOf(found), entities, labels: {} };
      const load = async () => {
        const loaded = await (await limited()).load(request, timeoutMs);
        if (loaded.peakBytes > memoryBytes + contentBytes(found.content)) {
          engine?.kill('it took too much memory', 'died');
          throw new EngineError('died', `it took more than ${Math.round(memoryBytes / 1_048_576)} MiB of memory`);
        }
        return loaded;
      };
      const loaded = await load();
      let session = loaded.session;
      const signature = signatureOf(loaded, onnx);
      refuseLabels(found, signature);
      const trial = await tryRows(found, signature, session);
      // A trial may have ended the engine: the rest needs one again.
      if (!engine?.alive) session = (await load()).session;
      const config = resolveModelConfig(found.file, trial.independent);
      const schemas = (await engine!.probe(session, { ask: 'schemas' }, timeoutMs)) as Schemas;
      await runExamples(found, signature, session, config);
      await engine!.unload(session);
      // The peak is of the engine's whole life: it must not count against the next version.
      if (loaded.residentBytes > FRESH_ABOVE * memoryBytes || loaded.peakBytes > memoryBytes)
        engine!.kill('it has grown');
      const { input: inputSchema, output: outputSchema } = schemas;
      return { ok: true, verified: { signature, config, inputSchema, outputSchema, rowTrial: trial.reason } };
    } catch (error) {
      const engineEnded = error instanceof EngineError && (error.kind === 'died' || error.kind === 'lost');
      return { ok: false, reason: reasonOf(error, found), engineEnded };
    }
  }

  /** What ended its engine is loaded once more, in a fresh one: a kill from outside must not condemn a version. */
  async function verifyTwice(found: FoundVersion): Promise<Verdict> {
    const verdict = await verify(found);
    return !verdict.ok && verdict.engineEnded && !closed ? verify(found) : verdict;
  }

  async function tryRows(found: FoundVersion, { inputs, outputs }: Signature, session: number): Promise<TrialResult> {
    const said = found.file.row_independent;
    if (said !== undefined) return { independent: said, reason: 'model.json says so' };
    if (found.handlerPath === null && !isCandidate(inputs, outputs))
      return { independent: false, reason: 'its inputs and outputs share no free first dimension' };
    if (!isCandidate(inputs, outputs))
      return { independent: false, reason: 'its tensors share no free first dimension' };
    const size = (await engine!.probe(session, { ask: 'size', inputs }, timeoutMs)) as number | null;
    if (size === null) return { independent: false, reason: 'no random row could be run' };
    try {
      return (await engine!.probe(session, { ask: 'rows', inputs, size }, timeoutMs)) as TrialResult;
    } catch (error) {
      return { independent: false, reason: `rows together: ${(error as Error).message}` };
    }
  }

  async function runExamples(found: FoundVersion, { inputs }: Signature, session: number, config: ModelConfig) {
    for (const [index, example] of config.examples.entries()) {
      try {
        await engine!.probe(session, { ask: 'example', inputs, example }, config.timeoutMs);
      } catch (error) {
        throw new RefusedModelError(
          `Example ${index + 1} of model.json fails: ${plain((error as Error).message, found)}`,
        );
      }
    }
  }

  return {
    verify(found) {
      const verdict = queue.then(() => verifyTwice(found));
      queue = verdict.catch(() => {});
      return verdict;
    },
    async close() {
      closed = true;
      engine?.kill('the worker stops');
      await engine?.exited;
    },
  };
}

/**
 * The rows of every entity that the version reads, from its own CSV files. Throws EntityCsvError, also where a file is not
 * the one that the version's digest was computed with.
 */
export async function readEntities(found: FoundVersion): Promise<Record<string, Entity[]>> {
  const sets: Record<string, Entity[]> = {};
  for (const entity of found.file.entities ?? []) {
    const name = `entities/${entity}.csv`;
    const bytes = await readFile(found.entityPaths[entity]!);
    if (hash('sha256', bytes, 'hex') !== found.entityDigests[entity])
      throw new EntityCsvError(
        `${name} is not the file with which the version was registered: restore it, or add a new version.`,
      );
    sets[entity] = parseEntityCsv(bytes.toString(), name);
  }
  return sets;
}

export function handlerOf({ handlerPath, handlerDigest }: FoundVersion): { path: string; digest: string } | null {
  return handlerPath === null || handlerDigest === null ? null : { path: handlerPath, digest: handlerDigest };
}

function reasonOf(error: unknown, found: FoundVersion): string {
  const message = plain((error as Error).message, found);
  if (error instanceof RefusedModelError || error instanceof EntityCsvError) return message;
  if (error instanceof EngineError && error.kind === 'timeout') return `The first load was given up: ${message}.`;
  if (error instanceof EngineError && error.kind === 'died') return `The first load ended its engine: ${message}.`;
  return `The model cannot be loaded: ${message}`;
}

/** Labels of an output that the model has not would be lost without a word. */
function refuseLabels({ file }: FoundVersion, { outputs }: Signature): void {
  const names = outputs.map(({ name }) => name);
  const stray = Object.keys(file.labels ?? {}).find((name) => !names.includes(name));
  if (stray !== undefined)
    throw new RefusedModelError(
      `model.json has labels of "${stray}", which is no output; there are ${names.join(', ')}.`,
    );
}

/** onnxruntime's words without its source files, this machine's paths and what is said already; and short. */
function plain(message: string, found: FoundVersion): string {
  const text = message
    .replaceAll(dirname(found.modelPath), found.version)
    .replace(/Load model from \S+ failed:\s*/, '')
    .replace(/\/\S+\.(?:cc|h):\d+ .*?\) (?=[A-Z])/, '')
    .replace(/\/\S+\.(?:cc|h):\d+ /, '')
    .trim();
  return (inFewWords(text) ?? text).slice(0, 500);
}

/** What most owners meet, and onnxruntime says in many words. */
function inFewWords(text: string): string | undefined {
  const opset = /Opset (\d+) is under development.*support for domain (\S+) is till opset (\d+)/s.exec(text);
  if (opset)
    return `it needs operator set ${opset[1]} of ${opset[2]}, and this onnxruntime has them up to ${opset[3]}.`;
  const operator = /No Op registered for (\S+) with domain_version of (\d+)/.exec(text);
  if (operator) return `its operator "${operator[1]}" is not in operator set ${operator[2]}, which it names.`;
  const unknown = /Fatal error: (\S+)\(-?\d+\) is not a registered function\/op/.exec(text);
  return unknown ? `its operator "${unknown[1]}" is none that this onnxruntime has.` : undefined;
}
