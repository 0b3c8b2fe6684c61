/** One loaded version inside an engine: rows in, outputs out. */

import { buildEntities } from '@millrace/shared/entities/entity-index';
import type { Provider } from '@millrace/shared/model-files/engine-settings';
import type { Handler, HandlerContext, Json } from '@millrace/shared/model-files/handler';
import { importHandler } from '@millrace/shared/model-files/handler-file';
import { OpenSlot } from '@millrace/shared/predictions/slots';
import { isSlot, type Row } from '@millrace/shared/predictions/task';
import { joinRowBytes, type RowGroup, RunMemory } from '@millrace/shared/tensors/join-row-bytes';
import { DTYPES, type TensorMap, type TensorSpec } from '@millrace/shared/tensors/tensor';
import { tensorRowBytes } from '@millrace/shared/tensors/tensor-bytes';
import {
  joinRows,
  shapeKey,
  splitInto,
  type TensorRow,
  tensorsOfRow,
  tensorsToJson,
} from '@millrace/shared/tensors/tensor-rows';
import type { Task, TensorNames } from '@millrace/tasks';
import type { InferenceSession } from 'onnxruntime-node';
import type { LoadRequest, RawSpec } from '../protocol/loaded-version.ts';
import { decodeRows, encodeRows, inStage } from './handler-stages.ts';
import { type LoadedModel, loadModel } from './load-model.ts';
import { GraphLimitError, type OnnxModel, readGraph } from './onnx-graph.ts';
import { runSession } from './ort-tensor.ts';
import { OutputChecker } from './output-checker.ts';

export class EngineSession {
  readonly #session: InferenceSession;
  /** The execution provider of the session. */
  readonly provider: Provider;
  /** Why an earlier device of the request could not open the model. */
  readonly refused: string | undefined;
  readonly handler: Handler | Task | null;
  readonly context: HandlerContext;
  /** The graph, if the load requested the graph. Undefined also for a file that is too large to examine. */
  readonly graph: OnnxModel | undefined;
  readonly #labels: LoadRequest['labels'];
  readonly #outputs: OutputChecker;
  /** The inputs of the model, which the tensors of a handler must match. */
  readonly #inputs: readonly RawSpec[];
  /** How long the last run took to convert its rows into tensors, and its tensors into outputs. Runs follow each other. */
  readonly times = { encodeMs: 0, decodeMs: 0 };
  #sinceMs = 0;

  private constructor(
    { session, seen, labels, provider, refused }: LoadedModel<OnnxModel | undefined>,
    handler: Handler | Task | null,
    request: LoadRequest,
  ) {
    this.#session = session;
    this.provider = provider;
    this.refused = refused;
    this.graph = seen;
    this.handler = handler;
    this.context = { entities: buildEntities(request.entities) };
    this.#labels = { ...labels, ...request.labels };
    this.#outputs = new OutputChecker(handler?.output);
    this.#inputs = this.specs().inputs;
  }

  static async load(request: LoadRequest): Promise<EngineSession> {
    const { handler: files } = request;
    // An engine does not load the model of a handler that cannot be imported. A task needs the tensors of the model.
    const imported = files === null || 'task' in files ? null : await importHandler(files.path, files.digest);
    const loaded = await loadModel(request.content, request, request.inspect ? examine : () => undefined);
    if (files === null || !('task' in files)) return new EngineSession(loaded, imported, request);
    try {
      const { openTask } = await import('@millrace/tasks');
      return new EngineSession(loaded, await openTask(files, namesOf(loaded.session)), request);
    } catch (error) {
      await loaded.session.release();
      throw error;
    }
  }

  get session(): InferenceSession {
    return this.#session;
  }

  specs(): { inputs: RawSpec[]; outputs: RawSpec[] } {
    const describe = (specs: readonly InferenceSession.ValueMetadata[]): RawSpec[] =>
      specs.map((spec) =>
        spec.isTensor
          ? { name: spec.name, type: spec.type, shape: [...spec.shape] }
          : { name: spec.name, type: undefined, shape: [] },
      );
    return { inputs: describe(this.#session.inputMetadata), outputs: describe(this.#session.outputMetadata) };
  }

  /** Returns the JSON texts of n outputs for the JSON array of n rows. Throws when a row fails. The worker isolates the failing row. */
  async run(rows: string, count: number): Promise<string[]> {
    this.#startTimes();
    const parsed: unknown[] = JSON.parse(rows);
    if (parsed.length !== count) throw new Error('a row is not one JSON value');
    return this.handler === null
      ? this.#runTensors(parsed as TensorRow[])
      : this.#runHandler(this.handler, parsed as Json[]);
  }

  async #runHandler(handler: Handler | Task, rows: Json[]): Promise<string[]> {
    const decoded = await this.#decoded(handler, rows);
    const texts = await inStage('decode', () => decoded.map((output) => this.#outputs.textOf(output)));
    this.#addDecoding();
    return texts;
  }

  /** The outputs of rows before their check. A task with `run` runs the model itself. */
  async #decoded(handler: Handler | Task, rows: Json[]): Promise<readonly unknown[]> {
    const { context } = this;
    if ('run' in handler && handler.run !== undefined) return handler.run(rows, (tensors) => this.#runModel(tensors));
    const tensors = await encodeRows({ handler, context, inputs: this.#inputs }, rows);
    const made = await this.#runModel(tensors);
    return decodeRows({ handler, context, tensors: made }, rows);
  }

  /**
   * As `run`, for rows of raw tensors of which some are bytes. A row of text comes from an API of an older version, and has the same
   * tensors as its bytes.
   */
  async runRows(rows: readonly Row[]): Promise<string[]> {
    if (this.handler !== null) throw new Error('a row of a handler is JSON text');
    this.#startTimes();
    const outputs = new Array<string>(rows.length);
    for (const { places, rowsEach, tensors } of groupsOf(rows)) {
      const made = await this.#runModel(tensors);
      const parts =
        places.length === 1
          ? [made]
          : splitInto(
              made,
              places.map(() => rowsEach),
            );
      for (const [at, part] of parts.entries())
        outputs[places[at] ?? 0] = tensorsToJson(part, this.#labels, this.#session.outputNames);
      this.#addDecoding();
    }
    return outputs;
  }

  /** Runs rows of equal shape together. A row of another shape (a longer text, a larger image) runs separately. */
  async #runTensors(parsed: readonly TensorRow[]): Promise<string[]> {
    const rows = parsed.map(tensorsOfRow);
    if (rows.length === 1) {
      const made = await this.#runModel(rows[0]!);
      const output = tensorsToJson(made, this.#labels, this.#session.outputNames);
      this.#addDecoding();
      return [output];
    }
    const groups = new Map<string, number[]>();
    rows.forEach((row, index) => {
      const key = shapeKey(row);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [index]);
      else group.push(index);
    });
    const outputs = new Array<string>(rows.length);
    for (const group of groups.values()) {
      const parts = await this.#runGroup(group.map((index) => rows[index]!));
      group.forEach((index, i) => {
        outputs[index] = tensorsToJson(parts[i]!, this.#labels, this.#session.outputNames);
      });
      this.#addDecoding();
    }
    return outputs;
  }

  async #runGroup(rows: TensorMap[]): Promise<TensorMap[]> {
    const counts = rows.map((row) => Object.values(row)[0]?.dims[0] ?? 0);
    return splitInto(await this.#runModel(joinRows(rows)), counts);
  }

  #startTimes(): void {
    this.times.encodeMs = 0;
    this.times.decodeMs = 0;
    this.#sinceMs = performance.now();
  }

  /** Runs the model. The time since the start, or since the end of the last step, counts as encoding. */
  async #runModel(tensors: TensorMap): Promise<TensorMap> {
    this.times.encodeMs += performance.now() - this.#sinceMs;
    const made = await runSession(this.#session, tensors);
    this.#sinceMs = performance.now();
    return made;
  }

  #addDecoding(): void {
    const nowMs = performance.now();
    this.times.decodeMs += nowMs - this.#sinceMs;
    this.#sinceMs = nowMs;
  }

  /** Releases the session. Without this call the memory of the session stays for the life of the process. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** The runs of an engine follow each other. */
const memory = new RunMemory();

/** Reads slots straight into the tensors of the run. Throws when a slot is gone. */
function groupsOf(rows: readonly Row[]): RowGroup[] {
  const slots: OpenSlot[] = [];
  try {
    const sources = rows.map((row) => {
      if (typeof row === 'string') return tensorRowBytes(tensorsOfRow(JSON.parse(row)));
      if (!isSlot(row)) return row;
      const slot = new OpenSlot(row);
      slots.push(slot);
      return slot;
    });
    const groups = joinRowBytes(sources, memory);
    for (const slot of slots) slot.check();
    return groups;
  } finally {
    for (const slot of slots) slot.close();
  }
}

/** The tensors of a model for its task. The types of other values than tensors are of no use to a task. */
function namesOf({ inputMetadata, outputMetadata }: InferenceSession): TensorNames {
  const specs = (values: readonly InferenceSession.ValueMetadata[]): TensorSpec[] =>
    values.flatMap((value) => {
      const dtype = value.isTensor ? DTYPES.find((known) => known === value.type) : undefined;
      return value.isTensor && dtype !== undefined ? [{ name: value.name, dtype, shape: [...value.shape] }] : [];
    });
  return { inputs: specs(inputMetadata), outputs: specs(outputMetadata) };
}

function examine(model: Buffer): OnnxModel | undefined {
  try {
    return readGraph(model);
  } catch (error) {
    if (error instanceof GraphLimitError) return undefined;
    throw error;
  }
}
