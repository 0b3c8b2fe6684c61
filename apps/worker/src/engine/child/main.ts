/**
 * The program of an engine. Loads versions and runs rows, one request after the other, over the socket at file descriptor 3. The engine ends
 * with its worker, also during a run that blocks the main thread forever: the watch of the worker kills the engine (engine-watch.ts).
 * Where the worker has no watch, a thread of the engine watches a pipe at descriptor 4, which closes whenever the worker ends.
 */
import { writeFileSync, writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { Socket } from 'node:net';
import { deserialize } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { CPU, type Device } from '@millrace/shared/model-files/engine-settings';
import { keepLongStacks, placeIn } from '@millrace/shared/model-files/handler-fault';
import { releaseWhenIdle } from '@millrace/shared/process/idle-release';
import { type InputFault, inputFault } from '@millrace/shared/tensors/input-error';
import {
  DEVICE,
  DONE,
  FAILED,
  type Frame,
  FrameReader,
  HEADER_BYTES,
  LOAD,
  OUTPUTS,
  OUTPUTS_HEADER_BYTES,
  PROBE,
  READY,
  RUN,
  RUN_HEADER_BYTES,
  RUN_ROWS,
  rowsOf,
  textFrame,
  textsFrame,
  UNLOAD,
} from '../protocol/frames.ts';
import { type EngineFailure, type LoadRequest, WATCH_WORKER } from '../protocol/loaded-version.ts';
import type { ProbeRequest } from '../protocol/probe-request.ts';
import { tryDevice } from './device-trial.ts';
import { StageError } from './handler-stages.ts';
import { probe } from './probe.ts';
import { EngineSession } from './session.ts';

const THREAD = `
const { Socket } = require('node:net');
const end = () => process.kill(process.pid, 'SIGKILL');
new Socket({ fd: 4, readable: true, writable: false }).on('end', end).on('error', end).resume();
`;
if (process.argv.includes(WATCH_WORKER))
  new Worker(THREAD, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16 } }).on('error', () => process.exit(1));

// A terminal sends Ctrl-C to the whole process group. The worker decides when its engines end.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});

try {
  // When memory runs out, the kernel must kill an engine and not the worker, whose jobs would be lost.
  writeFileSync('/proc/self/oom_score_adj', '800');
} catch {
  // The platform is not Linux, or the write is not allowed. Nothing depends on this write.
}

keepLongStacks();
// The load of a model leaves the space for young objects at 16 MiB. An engine has a small heap, so a full collection takes some 50 ms.
releaseWhenIdle({ full: true });

const STACK_MAX = 8_192;
const sessions = new Map<number, EngineSession>();
const socket = new Socket({ fd: 3, readable: true, writable: true });
const reader = new FrameReader();

async function load(body: Buffer): Promise<string> {
  const started = performance.now();
  const request = deserialize(body) as LoadRequest;
  const session = await EngineSession.load(request);
  sessions.set(request.session, session);
  const loadMs = performance.now() - started;
  // Node writes its cache of compiled code at a regular exit only, and engines are killed.
  setImmediate(flushCompileCache);
  return JSON.stringify({
    loadMs,
    residentBytes: process.memoryUsage.rss(),
    peakBytes: peakBytes(),
    provider: session.provider,
    refused: session.refused,
    ...session.specs(),
    ...(session.graph === undefined ? {} : { file: { inputs: session.graph.inputs, outputs: session.graph.outputs } }),
  });
}

/** The most resident bytes of this process so far. A model can have released memory since then. */
function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}

const RESIDENT_MS = 50;
let resident = 0;
let residentAt = Number.NEGATIVE_INFINITY;

/** Resident bytes, at most RESIDENT_MS old: the system call takes as long as a run of a small model. */
function residentBytes(nowMs: number): number {
  if (nowMs - residentAt >= RESIDENT_MS) {
    resident = process.memoryUsage.rss();
    residentAt = nowMs;
  }
  return resident;
}

async function unload(body: Buffer): Promise<string> {
  const id = body.readUInt32LE(0);
  const session = sessions.get(id);
  sessions.delete(id);
  await session?.release();
  return JSON.stringify({ residentBytes: process.memoryUsage.rss() });
}

function sessionOf(body: Buffer): EngineSession {
  const session = sessions.get(body.readUInt32LE(0));
  if (session === undefined) throw new Error('the version is not loaded in this engine');
  return session;
}

async function run(id: number, type: number, body: Buffer): Promise<Buffer> {
  const session = sessionOf(body);
  const started = performance.now();
  const running =
    type === RUN_ROWS
      ? session.runRows(rowsOf(body))
      : session.run(body.toString('utf8', RUN_HEADER_BYTES), body.readUInt32LE(4));
  const outputs = session.provider === CPU ? await running : await running.catch(endWithDevice);
  const inferenceMs = performance.now() - started;
  const frame = textsFrame({ type: OUTPUTS, id }, outputs, {
    prefixBytes: OUTPUTS_HEADER_BYTES,
    before: '',
    between: '\n',
    after: '',
  });
  frame.writeDoubleLE(inferenceMs, HEADER_BYTES);
  frame.writeDoubleLE(residentBytes(started), HEADER_BYTES + 8);
  frame.writeDoubleLE(session.times.encodeMs, HEADER_BYTES + 16);
  frame.writeDoubleLE(session.times.decodeMs, HEADER_BYTES + 24);
  return frame;
}

/** A lost device fails every later run of this process. The rows run again in a new engine. */
const LOST = /device\b.{0,40}\blost|cudaError|CUDA (?:failure|error)|CUDNN_STATUS|CUBLAS_STATUS/i;

function endWithDevice(error: Error): never {
  if (!LOST.test(error.message)) throw error;
  writeSync(2, `error: the device of the engine failed: ${error.message.slice(0, 500)}\n`);
  process.exit(1);
}

async function runProbe(body: Buffer): Promise<string> {
  return JSON.stringify(await probe(sessionOf(body), JSON.parse(body.toString('utf8', 4)) as ProbeRequest));
}

async function replyTo({ type, id, body }: Frame): Promise<Buffer> {
  try {
    if (type === RUN || type === RUN_ROWS) return await run(id, type, body);
    if (type === LOAD) return textFrame({ type: DONE, id }, await load(body));
    if (type === UNLOAD) return textFrame({ type: DONE, id }, await unload(body));
    if (type === PROBE) return textFrame({ type: DONE, id }, await runProbe(body));
    if (type === DEVICE)
      return textFrame({ type: DONE, id }, JSON.stringify(await tryDevice(JSON.parse(body.toString()) as Device)));
    throw new Error(`unknown frame type ${type}`);
  } catch (error) {
    return textFrame({ type: FAILED, id }, JSON.stringify(failureOf(error)));
  }
}

function failureOf(error: unknown): EngineFailure {
  const input = inputFault(error instanceof StageError ? error.cause : error);
  return { ...reasonOf(error), ...(input === undefined ? {} : { input: shortened(input) }) };
}

/** A handler can put a whole input into its message. */
const FAULT_MAX = 500;
const SUGGESTIONS_MAX = 10;

function shortened({ pointer, message, expected, got, suggestions }: InputFault): InputFault {
  return {
    pointer: pointer.slice(0, FAULT_MAX),
    message: message.slice(0, FAULT_MAX),
    ...(expected ? { expected: String(expected).slice(0, FAULT_MAX) } : {}),
    ...(got ? { got: String(got).slice(0, FAULT_MAX) } : {}),
    ...(suggestions
      ? { suggestions: suggestions.slice(0, SUGGESTIONS_MAX).map((text) => text.slice(0, FAULT_MAX)) }
      : {}),
  };
}

/** The log of the worker has the stack, for the owner of a handler. */
function reasonOf(error: unknown): EngineFailure {
  if (error instanceof StageError) return stageFailureOf(error);
  if (!(error instanceof Error)) return { message: String(error), stack: '' };
  return { message: error.message, stack: (error.stack ?? '').slice(0, STACK_MAX) };
}

function stageFailureOf({ stage, message, cause }: StageError): EngineFailure {
  const { stack = '', pointer } = (cause ?? {}) as { stack?: unknown; pointer?: unknown };
  const lines = typeof stack === 'string' ? stack : '';
  return {
    message: message.slice(0, STACK_MAX),
    stack: lines.slice(0, STACK_MAX),
    fault: { stage, place: placeIn(lines, message), ...(typeof pointer === 'string' ? { pointer } : {}) },
  };
}

let last: Promise<void> = Promise.resolve();
socket.on('data', (chunk) => {
  for (const frame of reader.push(chunk)) {
    // Requests run in order and one at a time, even while a handler waits.
    last = last.then(async () => {
      socket.write(await replyTo(frame));
    });
  }
});
socket.on('end', () => process.exit(0));
socket.on('error', () => process.exit(0));
socket.write(textFrame({ type: READY, id: 0 }, ''));
