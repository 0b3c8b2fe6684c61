/**
 * Verifies a new version in a separate engine with limits on memory and time. A file that ends this engine, or that the engine
 * refuses, fails with a reason for the owner of the model, and reaches no other engine.
 */
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Entity } from '@millrace/shared/entities/entity';
import { EntityCsvError, parseEntityCsv } from '@millrace/shared/entities/entity-csv';
import type { ModelConfig } from '@millrace/shared/model-files/model-config';
import { resolveModelConfig } from '@millrace/shared/model-files/model-config';
import { contentBytes, type FoundVersion } from '@millrace/shared/model-files/model-folder';
import { readOnnxFile } from '@millrace/shared/model-files/onnx-file';
import type { Logger } from 'pino';
import { Engine } from '../engine/engine.ts';
import { EngineError } from '../engine/engine-error.ts';
import type { ExampleReport } from '../engine/protocol/example-report.ts';
import type { HandlerFiles } from '../engine/protocol/loaded-version.ts';
import type { Schemas } from '../engine/protocol/probe-question.ts';
import { plainReason } from './plain-reason.ts';
import { RefusedModelError, refuseByFile, type Signature, signatureOf } from './read-signature.ts';
import { type Ask, reportExamples, runExamples, type TryParams, tryVersion } from './try-version.ts';

export type { ExampleReport };

export interface VerifyOptions {
  memoryBytes: number;
  timeoutMs: number;
  log: Logger;
  /** Whether a verdict has a report for each example. */
  reportsExamples?: boolean;
}

interface Verified {
  signature: Signature;
  config: ModelConfig;
  inputSchema: unknown;
  outputSchema: unknown;
}

/** `examples` has the reports, in the order of model.json, where VerifyOptions requests reports. */
export type Verdict = { examples?: readonly ExampleReport[] } & (
  | { ok: true; verified: Verified }
  | { ok: false; reason: string; engineEnded?: boolean }
);

/** Verifies versions one after the other, in the same engine while that engine is healthy. */
export interface Verifier {
  verify(found: FoundVersion): Promise<Verdict>;
  close(): Promise<void>;
}

// An engine keeps memory of the versions that it has loaded. Above this share of the limit the next version gets a new engine, so that
// each version has the same room.
const FRESH_ABOVE = 0.3;

/** With one thread a trial would miss the results that depend on the division of a run between threads. */
const TRIAL_THREADS = 2;

export function createVerifier(options: VerifyOptions): Verifier {
  const { memoryBytes, timeoutMs, log } = options;
  let engine: Engine | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  let closed = false;

  async function limited(): Promise<Engine> {
    if (engine?.alive) return engine;
    engine = await Engine.start({
      threads: TRIAL_THREADS,
      memoryLimitBytes: memoryBytes,
      onOutput: (line) => log.debug({ line: line.slice(0, 500) }, 'verifying engine output'),
    });
    return engine;
  }

  /** Ends the engine and waits for the exit of its process. The next version gets a new engine. */
  async function end(detail: string): Promise<void> {
    engine?.kill(detail, 'stopped', 'died');
    await engine?.exited;
  }

  async function verify(found: FoundVersion): Promise<Verdict> {
    const examples: ExampleReport[] | undefined = options.reportsExamples ? [] : undefined;
    try {
      const onnx = await readOnnxFile(found.modelPath);
      refuseByFile(onnx);
      const entities = await readEntities(found);
      const request = { content: found.content, handler: handlerOf(found), entities, labels: {}, inspect: true };
      const load = async () => {
        const loaded = await (await limited()).load(request, timeoutMs);
        if (loaded.peakBytes > memoryBytes + contentBytes(found.content)) {
          await end('it took too much memory');
          throw new EngineError('died', `it took more than ${Math.round(memoryBytes / 1_048_576)} MiB of memory`);
        }
        return loaded;
      };
      const loaded = await load();
      // The file can have been replaced after the read above. The engine reports the bytes that it verified.
      const file = loaded.file ?? onnx;
      refuseByFile(file);
      const declared = signatureOf(loaded, file);
      refuseLabels(found, declared);
      const schemas = schemasOf(await engine!.probe(loaded.session, { ask: 'schemas' }, timeoutMs));
      let session = loaded.session;
      const current = async () => {
        // A trial can end the engine. The next steps then need a new engine.
        if (!engine?.alive) session = (await load()).session;
        return session;
      };
      const ask: Ask = async (question, limitMs = timeoutMs) => {
        const loadedAs = await current();
        return engine!.probe(loadedAs, question, limitMs);
      };
      const tried = await runTrials({ found, signature: declared, ask }, examples);
      await engine!.unload(await current());
      // The peak covers the whole life of the engine, and must not count against the next version.
      if (loaded.residentBytes > FRESH_ABOVE * memoryBytes || loaded.peakBytes > memoryBytes) await end('it has grown');
      return { ok: true, verified: { ...schemas, ...tried }, ...(examples && { examples }) };
    } catch (error) {
      const engineEnded = error instanceof EngineError && (error.kind === 'died' || error.kind === 'lost');
      // Node keeps a failed import for the life of the process.
      if (isPackageMissing((error as Error).message)) await end('a package is missing');
      return { ok: false, reason: reasonOf(error, found), engineEnded, ...(examples && { examples }) };
    }
  }

  /** Loads a version that ended its engine once more in a new engine: a kill from outside must not fail the version. */
  async function verifyTwice(found: FoundVersion): Promise<Verdict> {
    const verdict = await verify(found);
    return !verdict.ok && verdict.engineEnded && !closed ? verify(found) : verdict;
  }

  return {
    verify(found) {
      const verdict = queue.then(() => verifyTwice(found));
      queue = verdict.catch(() => {});
      return verdict;
    },
    async close() {
      closed = true;
      engine?.kill('the worker stops', 'stopped');
      await engine?.exited;
    },
  };
}

/** Tries the rows of a version and runs its examples. Adds the reports of the examples to `reports`. */
async function runTrials(
  { found, signature: declared, ask }: TryParams,
  reports: ExampleReport[] | undefined,
): Promise<Pick<Verified, 'signature' | 'config'>> {
  const { findings, signature } = await tryVersion({ found, signature: declared, ask });
  const config = resolveModelConfig(found.file, findings, found.editOf);
  if (reports !== undefined) reports.push(...(await reportExamples({ found, signature, ask, config })));
  const changed = await runExamples({ found, signature, ask, config });
  return { signature, config: changed ?? config };
}

/**
 * Reads the rows of every entity of the version from its CSV files. Throws EntityCsvError for an invalid file, and for a file that
 * differs from the version's digest.
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

function schemasOf(answer: unknown): Pick<Verified, 'inputSchema' | 'outputSchema'> {
  const { input: inputSchema, output: outputSchema } = answer as Schemas;
  return { inputSchema, outputSchema };
}

/** Whether the reason of a failed version is a package that can be installed without a change of the version's files. */
export const isPackageMissing = (reason: string): boolean => /Cannot find (packages?|module) /.test(reason);

export function handlerOf({ handlerPath, handlerDigest, task }: FoundVersion): HandlerFiles | null {
  if (task !== null) return task;
  return handlerPath === null || handlerDigest === null ? null : { path: handlerPath, digest: handlerDigest };
}

function reasonOf(error: unknown, found: FoundVersion): string {
  const message = plainReason((error as Error).message, found);
  if (error instanceof RefusedModelError || error instanceof EntityCsvError) return message;
  if (error instanceof EngineError && error.kind === 'timeout') return `The first load was given up: ${message}.`;
  if (error instanceof EngineError && error.kind === 'died') return `The first load ended its engine: ${message}.`;
  return `The model cannot be loaded: ${message}`;
}

/** Refuses labels for an output that the model does not have: Millrace would ignore them silently. */
function refuseLabels({ file }: FoundVersion, { outputs }: Signature): void {
  const names = outputs.map(({ name }) => name);
  const stray = Object.keys(file.labels ?? {}).find((name) => !names.includes(name));
  if (stray !== undefined)
    throw new RefusedModelError(
      `model.json has labels of "${stray}", which is no output; there are ${names.join(', ')}.`,
    );
}
