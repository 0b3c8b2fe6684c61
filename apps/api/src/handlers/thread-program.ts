/** The program of a handler thread: loads handlers, and runs `canonicalize` on one input after the other. */
import os from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { Entity } from '@millrace/shared/entities/entity';
import { buildEntities } from '@millrace/shared/entities/entity-index';
import { ApiError } from '@millrace/shared/errors';
import type { Handler, HandlerContext, Json } from '@millrace/shared/model-files/handler';
import { keepLongStacks } from '@millrace/shared/model-files/handler-fault';
import { importVerified, type VerifiedHandler } from '@millrace/shared/model-files/handler-file';
import { releaseWhenIdle } from '@millrace/shared/process/idle-release';
import { inputFault } from '@millrace/shared/tensors/input-error';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import { checkerOf } from '../http/validation.ts';
import {
  type FromThread,
  progressOf,
  type RowOutcome,
  type RowResult,
  type TaskSource,
  type ToThread,
} from './messages.ts';

/** A turn ends after this time, so that the inputs of other callers get the thread. */
const TURN_MS = 20;
/** The longest canonical form of an input, in characters. */
const ROW_MAX = 16 * 1_048_576;
const STACK_MAX = 8_192;
/** A thread gets a third of the processor time of the event loop while both need a core. */
const NICENESS = 5;

/** Returns the canonical form, or a promise of the form. Throws ApiError for an input that does not match the schema. */
type Run = (input: unknown) => Json | Promise<Json>;

// biome-ignore lint/style/noProcessEnv: Node has read the folder of its compile cache, and a handler sees no environment variables.
delete process.env.NODE_COMPILE_CACHE;
keepLongStacks();
// The load of a handler leaves some 20 MB of garbage.
releaseWhenIdle({ full: true, cpuMs: () => cpuMicros() / 1_000 });

const port = parentPort;
if (port === null) throw new Error('thread-program.ts runs only as a thread of an API process');
const progress = progressOf(workerData as SharedArrayBuffer);
const entities = new Map<string, Record<string, Entity[]>>();
const loaded = new Map<string, Run>();

let isNice = false;

/** Lowers the priority before the first run, and not before the load of a handler, for which a model waits. */
function makeNice(): void {
  if (isNice) return;
  isNice = true;
  // On Linux the priority belongs to the thread. Requests that need no handler thread come first.
  if (process.platform === 'linux') os.setPriority(0, NICENESS);
}

function addRows({ key, entity, rows }: ToThread & { kind: 'entities' }): void {
  const sets = entities.get(key) ?? {};
  entities.set(key, sets);
  const known = sets[entity] ?? [];
  sets[entity] = known;
  for (const row of rows) known.push(row);
}

async function open(source: VerifiedHandler | TaskSource): Promise<Handler> {
  if (!('task' in source)) return importVerified(source);
  const { openTask } = await import('@millrace/tasks');
  const task = await openTask(source, source.names);
  await task.prepare?.();
  return task;
}

async function load({ key, handler: source }: ToThread & { kind: 'load' }): Promise<FromThread> {
  try {
    const handler = await open(source);
    const check = checkerOf(handler.input);
    const context: HandlerContext = { entities: buildEntities(entities.get(key) ?? {}) };
    entities.delete(key);
    loaded.set(key, (input) => {
      check(input);
      return handler.canonicalize(input, context);
    });
    return { kind: 'loaded', key };
  } catch (error) {
    return { kind: 'not loaded', key, ...described(error) };
  }
}

async function run({ key, inputs }: ToThread & { kind: 'run' }): Promise<FromThread> {
  makeNice();
  const results: RowResult[] = [];
  const handle = loaded.get(key);
  const startedAt = performance.now();
  const cpuAt = cpuMicros();
  for (const [at, input] of inputs.entries()) {
    Atomics.store(progress.cpuAt, 0, BigInt(cpuMicros()));
    Atomics.store(progress.startedAt, 0, process.hrtime.bigint());
    Atomics.store(progress.input, 0, at);
    const begunAt = performance.now();
    const outcome: RowOutcome =
      handle === undefined ? { failed: 'the handler is not loaded', stack: '' } : await rowOf(handle, input);
    results.push({ ...outcome, ms: performance.now() - begunAt });
    if (performance.now() - startedAt > TURN_MS) break;
  }
  return { kind: 'ran', results, cpuMs: (cpuMicros() - cpuAt) / 1_000 };
}

function cpuMicros(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

async function rowOf(handle: Run, input: unknown): Promise<RowOutcome> {
  try {
    const canonical = handle(input);
    const row = canonicalJson(canonical instanceof Promise ? await canonical : canonical);
    if (row.length > ROW_MAX) return { failed: `the canonical form has more than ${ROW_MAX} characters`, stack: '' };
    return { row };
  } catch (error) {
    if (error instanceof ApiError) return { faults: error.faults };
    const refused = inputFault(error);
    if (refused !== undefined) return { refused };
    const { message, stack } = described(error);
    return { failed: message, stack };
  }
}

/** A handler can throw any value. */
function described(error: unknown): { message: string; stack: string } {
  if (!(error instanceof Error)) return { message: String(error).slice(0, STACK_MAX), stack: '' };
  return { message: error.message.slice(0, STACK_MAX), stack: (error.stack ?? '').slice(0, STACK_MAX) };
}

// The process sends a request after the reply to the previous request. Rows of entities have no reply.
port.on('message', (message: ToThread) => {
  if (message.kind === 'entities') addRows(message);
  else void (message.kind === 'load' ? load(message) : run(message)).then((reply) => port.postMessage(reply));
});
