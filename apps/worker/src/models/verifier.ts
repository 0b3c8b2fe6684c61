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
import { contentBytes } from '@millrace/shared/model-files/model-folder';
import { readOnnxFile } from '@millrace/shared/model-files/onnx-file';
import type { FoundVersion } from '@millrace/shared/model-files/read-version';
import type { Logger } from 'pino';
import type { Devices } from '../engine/devices.ts';
import { Engine } from '../engine/engine.ts';
import { EngineError, type EngineErrorKind } from '../engine/engine-error.ts';
import type { ExampleReport } from '../engine/protocol/example-report.ts';
import type { HandlerFiles } from '../engine/protocol/loaded-version.ts';
import type { Operators, Schemas } from '../engine/protocol/probe-request.ts';
import { plainReason } from './plain-reason.ts';
import { RefusedModelError, refuseByFile, type Signature, signatureOf } from './read-signature.ts';
import { type Probe, reportExamples, runExamples, type TryParams, tryVersion } from './try-version.ts';

export type { ExampleReport };

export interface VerifyOptions {
  memoryBytes: number;
  timeoutMs: number;
  devices: Devices;
  log: Logger;
  /** Time without a version after which the engine is ended, in milliseconds. */
  idleMs?: number;
  /** Whether a verdict has a report for each example. */
  reportsExamples?: boolean;
  /** Requests a row in each good verdict: the canonical text of this input, of the first example, or of a random row. */
  row?: { input?: unknown };
}

interface Verified {
  signature: Signature;
  config: ModelConfig;
  inputSchema: unknown;
  outputSchema: unknown;
}

/** `examples` has the reports, in the order of model.json, where VerifyOptions requests reports. */
export type Verdict = { examples?: readonly ExampleReport[]; row?: string } & (
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

/** An idle engine takes 70 to 100 MB. Versions are verified at the start of a worker, and rarely afterwards. */
const IDLE_MS = 10_000;

export function createVerifier(options: VerifyOptions): Verifier {
  const { memoryBytes, timeoutMs, devices, idleMs = IDLE_MS } = options;
  const limited = new LimitedEngine(options);
  let queue: Promise<unknown> = Promise.resolve();
  let closed = false;
  // The end of the engine is in the queue: the next version waits for its exit, and starts a new engine.
  const idle = idleWatch(idleMs, () => {
    queue = queue.then(() => limited.end('no version waits'));
  });

  async function verify(found: FoundVersion): Promise<Verdict> {
    const examples: ExampleReport[] | undefined = options.reportsExamples ? [] : undefined;
    try {
      const onnx = await readOnnxFile(found.modelPath);
      refuseByFile(onnx, { isLoaded: false });
      const entities = await readEntities(found);
      const choice = await devices.choose(found.file.engine);
      if ('reason' in choice) throw new RefusedModelError(choice.reason);
      const onDevices = choice.engine.providers.map(({ name, ids }) => ({ provider: name, id: ids[0] ?? 0 }));
      const room = memoryBytes + choice.peakBytes;
      const file = { content: found.content, handler: handlerOf(found) };
      const request = { ...file, entities, labels: {}, inspect: true, devices: onDevices };
      const load = async () => {
        const loaded = await (await limited.start(choice.peakBytes)).load(request, timeoutMs);
        if (loaded.peakBytes > room + contentBytes(found.content)) {
          await limited.end('it took too much memory');
          throw new EngineError('died', `it took more than ${Math.round(memoryBytes / 1_048_576)} MiB of memory`);
        }
        return loaded;
      };
      const loaded = await load();
      // The file can have been replaced after the read above. The engine reports the bytes that it verified.
      const inspected = loaded.file ?? onnx;
      refuseByFile(inspected, { isLoaded: true });
      const declared = signatureOf(loaded, inspected);
      refuseLabels(found, declared);
      const schemas = schemasOf(await limited.engine.probe(loaded.session, { kind: 'schemas' }, timeoutMs));
      let session = loaded.session;
      const current = async () => {
        // A trial can end the engine. The next steps then need a new engine.
        if (!limited.engine.alive) session = (await load()).session;
        return session;
      };
      const probe: Probe = async (request, limitMs = timeoutMs) => {
        const loadedAs = await current();
        return limited.engine.probe(loadedAs, request, limitMs);
      };
      const tried = await runTrials({ found, signature: declared, probe }, examples);
      const row = options.row && (await readRow({ found, signature: tried.signature, probe }, options.row));
      await limited.engine.unload(await current());
      // The peak covers the whole life of the engine, and must not count against the next version.
      if (loaded.residentBytes > FRESH_ABOVE * room || loaded.peakBytes > room) await limited.end('it has grown');
      return { ok: true, verified: { ...schemas, ...tried }, ...(examples && { examples }), ...(row && { row }) };
    } catch (error) {
      const engineEnded = error instanceof EngineError && (error.kind === 'died' || error.kind === 'lost');
      // Node keeps a failed import for the life of the process.
      if (isPackageMissing((error as Error).message)) await limited.end('a package is missing');
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
      idle.begin();
      const verdict = queue.then(() => verifyTwice(found)).finally(idle.end);
      queue = verdict.catch(() => {});
      return verdict;
    },
    async close() {
      closed = true;
      idle.close();
      await limited.end('the worker stops', 'lost');
    },
  };
}

/** Calls `onIdle` when nothing has been in progress for `idleMs`. */
function idleWatch(idleMs: number, onIdle: () => void) {
  let active = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  return {
    begin(): void {
      clearTimeout(timer);
      active += 1;
    },
    end(): void {
      active -= 1;
      if (active === 0 && !closed) timer = setTimeout(onIdle, idleMs).unref();
    },
    close(): void {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** Tries the rows of a version and runs its examples. Adds the reports of the examples to `reports`. */
async function runTrials(
  { found, signature: declared, probe }: TryParams,
  reports: ExampleReport[] | undefined,
): Promise<Pick<Verified, 'signature' | 'config'>> {
  const { findings, signature } = await tryVersion({ found, signature: declared, probe });
  const config = resolveModelConfig(found.file, findings, found.editOf);
  if (reports !== undefined) reports.push(...(await reportExamples({ found, signature, probe, config })));
  const changed = await runExamples({ found, signature, probe, config });
  return { signature, config: changed ?? config };
}

/** Throws RefusedModelError if the input is invalid, or if there is no input and no random row. */
async function readRow(
  { found, signature, probe }: TryParams,
  { input: example = found.file.examples?.[0] }: { input?: unknown },
): Promise<string> {
  const { inputs } = signature;
  try {
    const { vocabulary } = (await probe({ kind: 'operators', inputs })) as Operators;
    const row = await probe({ kind: 'row', inputs, vocabulary, ...(example === undefined ? {} : { example }) });
    if (typeof row === 'string') return row;
  } catch (error) {
    throw new RefusedModelError(`The input cannot be used: ${plainReason((error as Error).message, found)}`);
  }
  throw new RefusedModelError('The model has no example, and no random row runs. Add "examples" to model.json.');
}

/** The engine that verifies versions. */
class LimitedEngine {
  readonly #options: VerifyOptions;
  #engine: Engine | undefined;
  #deviceBytes = 0;

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  /** The engine of the last start. */
  get engine(): Engine {
    if (this.#engine === undefined) throw new Error('no engine was started');
    return this.#engine;
  }

  /** The running engine, or a new engine. `deviceBytes`: the memory that the devices of the version need beside the model. */
  async start(deviceBytes: number): Promise<Engine> {
    if (this.#engine?.alive) {
      if (deviceBytes === this.#deviceBytes) return this.#engine;
      await this.end('the next version has other devices');
    }
    const { memoryBytes, log } = this.#options;
    this.#deviceBytes = deviceBytes;
    this.#engine = await Engine.start({
      threads: TRIAL_THREADS,
      memoryLimitBytes: memoryBytes + deviceBytes,
      onOutput: (line) => log.debug({ line: line.slice(0, 500) }, 'verifying engine output'),
    });
    return this.#engine;
  }

  /** Ends the engine and waits for the exit of its process. The next version gets a new engine. */
  async end(detail: string, kind: EngineErrorKind = 'died'): Promise<void> {
    this.#engine?.kill(detail, 'stopped', kind);
    await this.#engine?.exited;
  }
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

function schemasOf(reply: unknown): Pick<Verified, 'inputSchema' | 'outputSchema'> {
  const { input: inputSchema, output: outputSchema } = reply as Schemas;
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
