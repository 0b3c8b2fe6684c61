/**
 * The worker's side of one engine. An engine is a child process that runs requests in their order. A request that is sent during a run
 * waits in the socket, so that the engine starts the next run without a message from the worker.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { getCompileCacheDir } from 'node:module';
import { tmpdir } from 'node:os';
import type { Duplex, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { serialize } from 'node:v8';
import { CPU, type Device } from '@millrace/shared/model-files/engine-settings';
import { contentBytes } from '@millrace/shared/model-files/model-folder';
import type { Text } from '@millrace/shared/predictions/long-text';
import type { Row } from '@millrace/shared/predictions/task';
import { siblingModule } from '@millrace/shared/process/sibling-module';
import { type EngineEnd, EngineError, type EngineErrorKind, EngineStartError } from './engine-error.ts';
import { ENGINE_WATCH, type EngineWatch } from './engine-watch.ts';
import { isStopped, residentBytes } from './process-memory.ts';
import {
  bytesFrame,
  DEVICE,
  DONE,
  FAILED,
  type Frame,
  FrameReader,
  HEADER_BYTES,
  LOAD,
  OUTPUTS,
  outputsOf,
  PROBE,
  READY,
  RUN,
  RUN_HEADER_BYTES,
  rowsFrame,
  textFrame,
  textsFrame,
  UNLOAD,
} from './protocol/frames.ts';
import {
  type DeviceTrial,
  type EngineFailure,
  type LoadReply,
  type LoadRequest,
  WATCH_WORKER,
} from './protocol/loaded-version.ts';
import type { ProbeRequest } from './protocol/probe-request.ts';

export interface EngineOptions {
  /** Threads of one operator. */
  threads: number;
  /** An engine with more resident bytes is killed during its run. */
  memoryLimitBytes: number;
  /** Receives the lines that the engine, a handler or onnxruntime writes to stdout or stderr. */
  onOutput?: (line: string) => void;
  /** Ends the engine when this process dies. */
  watch?: EngineWatch;
}

export interface RunOutcome {
  outputs: Text[];
  inferenceMs: number;
  /** The parts of `inferenceMs` before and after the run of the model. */
  encodeMs: number;
  decodeMs: number;
  /** Resident bytes after the run. */
  residentBytes: number;
}

interface Pending {
  id: number;
  timeoutMs: number;
  /** Bytes that the request can use beyond the memory limit. */
  allowanceBytes: number;
  resolve(frame: Frame): void;
  reject(error: EngineError): void;
}

interface SendParams {
  id: number;
  timeoutMs: number;
  allowanceBytes?: number;
}

const PROGRAM = fileURLToPath(siblingModule(import.meta.url, './child/main'));
const START_TIMEOUT_MS = 30_000;
// Short enough to stop a run that allocates a gigabyte a second before the memory of the machine is full.
const MEMORY_CHECK_MS = 50;
const OUTPUT_KEPT = 4_096;
/** A timer that is later than this shows that the worker itself was stopped, and says nothing about the engine. */
const LATE_MS = 500;

export class Engine {
  readonly #child: ChildProcess;
  readonly #socket: Duplex;
  readonly #options: EngineOptions;
  readonly #reader = new FrameReader();
  readonly #pending: Pending[] = [];
  readonly #memoryWatch: NodeJS.Timeout;
  readonly exited: Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #nextId = 1;
  #nextSession = 1;
  #alive = true;
  /** Why the engine was killed. The current request is at fault unless `kind` is `lost`. */
  #verdict: { kind: EngineErrorKind; end: EngineEnd; detail: string } | undefined;
  /** How the engine ended; undefined while the engine runs. */
  ending: { end: EngineEnd; how: string } | undefined;
  #said = '';

  /** Starts an engine. Resolves when the engine can load versions. Rejects when the engine cannot start. */
  static async start(options: EngineOptions): Promise<Engine> {
    const engine = new Engine(options);
    try {
      await engine.#send([], { id: 0, timeoutMs: START_TIMEOUT_MS });
    } catch (error) {
      // A kill during the start does not mean that the next start fails.
      const kind = (error as EngineError).kind === 'died' ? 'lost' : 'failed';
      throw new EngineStartError(kind, 'no engine could be started', error);
    }
    return engine;
  }

  private constructor(options: EngineOptions) {
    this.#options = options;
    const compiled = getCompileCacheDir();
    const { watch = ENGINE_WATCH } = options;
    const isWatched = watch.start();
    this.#child = spawn(process.execPath, ['--no-warnings', PROGRAM, ...(isWatched ? [] : [WATCH_WORKER])], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', ...(isWatched ? [] : ['pipe' as const])],
      // An engine needs no settings of the worker, and some settings are secrets.
      env: {
        TMPDIR: tmpdir(),
        // glibc would raise this threshold, and would then keep the freed memory of model files.
        MALLOC_MMAP_THRESHOLD_: String(262_144),
        // Each thread would have an arena of its own, and keep what the load of a model has freed there.
        MALLOC_ARENA_MAX: '1',
        ...(compiled === undefined ? {} : { NODE_COMPILE_CACHE: compiled }),
        ...driverVariables(),
      },
    });
    const { pid } = this.#child;
    if (isWatched && pid !== undefined) {
      watch.add(pid);
      this.#child.once('exit', () => watch.remove(pid));
    }
    this.#socket = this.#child.stdio[3] as Duplex;
    this.#socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#reader.push(chunk)) this.#settle(frame);
    });
    // A pipe breaks when the engine ends before it has read everything. The exit of the engine, which follows, has the reason.
    for (const stream of [this.#socket, this.#child.stdio[4]]) stream?.on('error', () => this.#child.kill('SIGKILL'));
    for (const stream of [this.#child.stdout, this.#child.stderr]) this.#listen(stream as Readable);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.exited = promise;
    this.#child.once('error', (error) => {
      this.ending = { end: 'exit', how: `it could not be started: ${error.message}` };
      this.#end(resolve);
    });
    this.#child.once('exit', (code, signal) => {
      const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
      const said = this.#said === '' ? '' : `: ${lastLine(this.#said)}`;
      this.ending = { end: signal === null ? 'exit' : 'signal', how: `the engine ended ${how}${said}` };
      this.#end(resolve);
    });
    this.#memoryWatch = setInterval(() => void this.#checkMemory(), MEMORY_CHECK_MS).unref();
  }

  get alive(): boolean {
    return this.#alive;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Number of requests without a response. */
  get pending(): number {
    return this.#pending.length;
  }

  /** Loads a version. Returns its session number and the description of the file. Rejects with an EngineError. */
  async load(
    request: Omit<LoadRequest, 'session' | 'threads' | 'devices'> & Partial<Pick<LoadRequest, 'threads' | 'devices'>>,
    timeoutMs: number,
  ): Promise<LoadReply & { session: number }> {
    const session = this.#nextSession++;
    const { threads = this.#options.threads, devices = ON_CPU } = request;
    const body: LoadRequest = { ...request, session, threads, devices };
    const id = this.#nextId++;
    // The engine holds the verified files in memory until onnxruntime has loaded them. This memory does not count against the model.
    const allowanceBytes = contentBytes(request.content);
    const frame = await this.#send([bytesFrame(LOAD, id, serialize(body))], { id, timeoutMs, allowanceBytes });
    return { session, ...(JSON.parse(frame.body.toString()) as LoadReply) };
  }

  /** Releases the memory of a session. */
  async unload(session: number): Promise<void> {
    const id = this.#nextId++;
    const body = Buffer.alloc(4);
    body.writeUInt32LE(session);
    await this.#send([bytesFrame(UNLOAD, id, body)], { id, timeoutMs: START_TIMEOUT_MS });
  }

  /** Runs rows (canonical JSON texts, or bytes) as one batch. Returns all outputs or rejects with an EngineError. */
  async run(session: number, rows: readonly Row[], timeoutMs: number): Promise<RunOutcome> {
    const id = this.#nextId++;
    const request = rows.every(isText) ? [textsFrame({ type: RUN, id }, rows, ROW_LIST)] : rowsFrame(id, rows);
    request[0]?.writeUInt32LE(session, HEADER_BYTES);
    request[0]?.writeUInt32LE(rows.length, HEADER_BYTES + 4);
    const frame = await this.#send(request, { id, timeoutMs });
    const { body } = frame;
    return {
      outputs: outputsOf(frame),
      inferenceMs: body.readDoubleLE(0),
      residentBytes: body.readDoubleLE(8),
      encodeMs: body.readDoubleLE(16),
      decodeMs: body.readDoubleLE(24),
    };
  }

  /** Examines a session (child/probe.ts). Returns the parsed JSON of the response. */
  async probe(session: number, request: ProbeRequest, timeoutMs: number): Promise<unknown> {
    const id = this.#nextId++;
    const frame = textFrame({ type: PROBE, id }, JSON.stringify(request), SESSION_BYTES);
    frame.writeUInt32LE(session, HEADER_BYTES);
    return JSON.parse((await this.#send([frame], { id, timeoutMs })).body.toString());
  }

  /** Tries a device. An engine that has loaded no version reports the memory that the device needs. */
  async tryDevice(device: Device, timeoutMs: number): Promise<DeviceTrial> {
    const id = this.#nextId++;
    const frame = await this.#send([textFrame({ type: DEVICE, id }, JSON.stringify(device))], { id, timeoutMs });
    return JSON.parse(frame.body.toString()) as DeviceTrial;
  }

  /** Kills the engine. The current request rejects with `kind`, and all waiting requests reject with `lost`. */
  kill(detail: string, end: EngineEnd, kind: EngineErrorKind = 'lost'): void {
    this.#verdict ??= { kind, end, detail };
    this.#child.kill('SIGKILL');
  }

  #send(request: readonly Buffer[], { id, timeoutMs, allowanceBytes = 0 }: SendParams): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (!this.#alive) return reject(new EngineError('lost', 'the engine has ended'));
      this.#pending.push({ id, timeoutMs, allowanceBytes, resolve, reject });
      if (this.#pending.length === 1) this.#startClock();
      // One call of the system writes all buffers.
      this.#socket.cork();
      for (const buffer of request) this.#socket.write(buffer);
      this.#socket.uncork();
    });
  }

  /** Starts the time limit of the oldest request. The engine starts the next request only after its response to the oldest. */
  #startClock(): void {
    clearTimeout(this.#timer);
    const head = this.#pending[0];
    if (head === undefined) return;
    const due = performance.now() + head.timeoutMs;
    this.#timer = setTimeout(() => {
      // This process was stopped itself (SIGSTOP, an overloaded machine). The response can have arrived and wait unread.
      if (performance.now() > due + LATE_MS) return this.#startClock();
      // An engine that a signal has stopped responds to no request.
      if (this.#child.pid !== undefined && isStopped(this.#child.pid))
        this.kill('the engine was stopped by a signal', 'frozen');
      else this.kill(`it took longer than ${head.timeoutMs} ms`, 'timeout', 'timeout');
    }, head.timeoutMs);
  }

  #settle(frame: Frame): void {
    const head = this.#pending.shift();
    this.#startClock();
    if (head === undefined || head.id !== frame.id) this.kill('the engine sent an unexpected response', 'protocol');
    else if (frame.type === FAILED) head.reject(failedError(JSON.parse(frame.body.toString()) as EngineFailure));
    else if (frame.type === OUTPUTS || frame.type === DONE || frame.type === READY) head.resolve(frame);
    else head.reject(new EngineError('failed', `the engine responded with frame type ${frame.type}`));
  }

  #end(exited: () => void): void {
    if (!this.#alive) return;
    this.#alive = false;
    clearTimeout(this.#timer);
    clearInterval(this.#memoryWatch);
    const { end = 'exit', how = 'the engine ended' } = this.ending ?? {};
    const { kind, detail, ...killed } = this.#verdict ?? { kind: 'died' as const, detail: how, end };
    this.ending = { end: killed.end, how: detail };
    const [head, ...others] = this.#pending.splice(0);
    head?.reject(new EngineError(kind, detail));
    for (const other of others) other.reject(new EngineError('lost', 'the engine ended during an earlier request'));
    exited();
  }

  async #checkMemory(): Promise<void> {
    const [head] = this.#pending;
    if (head === undefined || this.#child.pid === undefined) return;
    const bytes = await residentBytes(this.#child.pid);
    if (bytes === undefined || bytes <= this.#options.memoryLimitBytes + head.allowanceBytes) return;
    const limitMiB = Math.round(this.#options.memoryLimitBytes / 1_048_576);
    this.kill(`it took more than ${limitMiB} MiB of memory`, 'memory', 'died');
  }

  #listen(stream: Readable): void {
    stream.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-OUTPUT_KEPT);
      for (const line of text.split('\n')) if (line.trim() !== '') this.#options.onOutput?.(line);
    });
  }
}

/** PROBE: the number of a session stands before the request. */
const SESSION_BYTES = 4;

const ROW_LIST = { prefixBytes: RUN_HEADER_BYTES, before: '[', between: ',', after: ']' };

const ON_CPU: readonly Device[] = [{ provider: CPU, id: 0 }];

/** The variables by which the drivers and libraries of devices are found. */
const DRIVER_VARIABLES =
  /^(?:LD_LIBRARY_PATH|CUDA_(?:VISIBLE_DEVICES|DEVICE_ORDER|CACHE_PATH|MODULE_LOADING)|NVIDIA_(?:VISIBLE_DEVICES|DRIVER_CAPABILITIES)|VK_(?:DRIVER_FILES|ADD_DRIVER_FILES|ICD_FILENAMES|LOADER_DRIVERS_SELECT|LOADER_DRIVERS_DISABLE))$/;

const driverVariables = (): NodeJS.ProcessEnv =>
  // biome-ignore lint/style/noProcessEnv: these variables are settings of the drivers, and no settings of Millrace.
  Object.fromEntries(Object.entries(process.env).filter(([name]) => DRIVER_VARIABLES.test(name)));

const isText = (row: Row): row is string => typeof row === 'string';

function failedError({ message, stack, fault, input }: EngineFailure): EngineError {
  const kind = input === undefined ? 'failed' : 'input';
  const error = new EngineError(kind, message, Object.assign(new Error(message), { stack: stack || message }));
  error.fault = fault;
  error.input = input;
  return error;
}

function lastLine(text: string): string {
  const lines = text.trim().split('\n');
  return (lines.find((line) => /error|exception|terminate/i.test(line)) ?? lines.at(-1) ?? '').slice(0, 300);
}
