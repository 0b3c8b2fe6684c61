/**
 * Reads the facts about an ONNX file that Millrace needs before onnxruntime loads the file: the paths of external data, and details
 * of inputs and outputs that onnxruntime does not report. Parses the protobuf (onnx.proto3) and skips the weights.
 */
import { type FileHandle, open } from 'node:fs/promises';

export interface OnnxFile {
  irVersion: number;
  /** Operator set versions by domain. '' is the domain of ONNX itself. */
  opsets: Readonly<Record<string, number>>;
  /** Paths of external data as written in the file. Not verified: a path may leave the folder of the file. */
  externalData: readonly string[];
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
}

export interface OnnxValue {
  name: string;
  kind: 'tensor' | 'sequence' | 'map' | 'optional' | 'sparse tensor' | 'unknown';
  /** TensorProto.DataType. */
  elementType: number;
  /** Whether the file has a shape. onnxruntime reports an empty shape for both a missing shape and a scalar. */
  hasShape: boolean;
}

/** The file is not an ONNX file, or is truncated. */
export class OnnxFileError extends Error {
  override name = 'OnnxFileError';
}

const WINDOW_BYTES = 64 * 1024;
// A file of tiny fields would take minutes. The largest public models have about 10^6 fields.
const FIELDS_MAX = 20_000_000;
const DEPTH_MAX = 64;

/** Reads a model file. Throws OnnxFileError, or the error of the file system. */
export async function readOnnxFile(path: string): Promise<OnnxFile> {
  const file = await open(path, 'r');
  try {
    const walk = new Walk(file, (await file.stat()).size);
    await walk.model();
    return walk;
  } finally {
    await file.close();
  }
}

interface Field {
  number: number;
  /** Value of a varint field; 0 for others. */
  value: number;
  /** Start and end of the bytes of a length-delimited field. */
  start: number;
  end: number;
}

class Walk implements OnnxFile {
  irVersion = 0;
  readonly opsets: Record<string, number> = {};
  readonly externalData: string[] = [];
  inputs: OnnxValue[] = [];
  outputs: OnnxValue[] = [];
  readonly #file: FileHandle;
  readonly #size: number;
  readonly #window = Buffer.alloc(WINDOW_BYTES);
  readonly #graphs: Field[] = [];
  #windowAt = 0;
  #windowLength = 0;
  #fields = 0;

  constructor(file: FileHandle, size: number) {
    this.#file = file;
    this.#size = size;
  }

  async model(): Promise<void> {
    if (this.#size === 0) throw new OnnxFileError('the file is empty');
    for await (const field of this.#each(0, this.#size)) {
      if (field.number === 1) this.irVersion = field.value;
      else if (field.number === 8) await this.#opset(field);
      else if (field.number === 7) {
        this.#graphs.push(field);
        await this.#graph(field, 0, true);
      } else if (field.number === 25) await this.#nodes(field, 7, 0);
    }
    if (this.#graphs.length === 0)
      throw new OnnxFileError('the file has no graph: the file is truncated or not an ONNX model');
    await this.#replaceZipMaps();
  }

  /**
   * The output of a ZipMap counts as a tensor: the engine replaces the operator (zip-map.ts). Only a model with such an output has its
   * nodes read a second time.
   */
  async #replaceZipMaps(): Promise<void> {
    if (!this.outputs.some(({ kind }) => kind === 'sequence')) return;
    for (const { start, end } of this.#graphs)
      for await (const node of this.#each(start, end)) if (node.number === 1) await this.#replaceZipMap(node);
  }

  async #replaceZipMap({ start, end }: Field): Promise<void> {
    let operator = '';
    const outputs: string[] = [];
    for await (const field of this.#each(start, end)) {
      if (field.number === 2) outputs.push(await this.#text(field));
      else if (field.number === 4) operator = await this.#text(field);
    }
    if (operator !== 'ZipMap') return;
    for (const output of this.outputs)
      if (outputs.includes(output.name)) Object.assign(output, { kind: 'tensor', elementType: 1, hasShape: true });
  }

  async #opset({ start, end }: Field): Promise<void> {
    let domain = '';
    let version = 0;
    for await (const field of this.#each(start, end)) {
      if (field.number === 1) domain = await this.#text(field);
      else if (field.number === 2) version = field.value;
    }
    this.opsets[domain === 'ai.onnx' ? '' : domain] = version;
  }

  async #graph({ start, end }: Field, depth: number, main: boolean): Promise<void> {
    if (depth > DEPTH_MAX) throw new OnnxFileError('the graphs nest too deep');
    for await (const field of this.#each(start, end)) {
      if (field.number === 1) await this.#node(field, depth);
      else if (field.number === 5) await this.#tensor(field);
      else if (field.number === 15) await this.#sparse(field);
      else if (main && field.number === 11) this.inputs.push(await this.#value(field));
      else if (main && field.number === 12) this.outputs.push(await this.#value(field));
    }
  }

  async #nodes({ start, end }: Field, number: number, depth: number): Promise<void> {
    for await (const field of this.#each(start, end)) if (field.number === number) await this.#node(field, depth);
  }

  async #node({ start, end }: Field, depth: number): Promise<void> {
    for await (const attribute of this.#each(start, end)) {
      if (attribute.number !== 5) continue;
      for await (const field of this.#each(attribute.start, attribute.end)) {
        if (field.number === 5 || field.number === 10) await this.#tensor(field);
        else if (field.number === 6 || field.number === 11) await this.#graph(field, depth + 1, false);
        else if (field.number === 22 || field.number === 23) await this.#sparse(field);
      }
    }
  }

  async #sparse({ start, end }: Field): Promise<void> {
    for await (const field of this.#each(start, end)) if (field.number <= 2) await this.#tensor(field);
  }

  /** TensorProto.external_data: pairs of key and value. The value of `location` is a path. */
  async #tensor({ start, end }: Field): Promise<void> {
    for await (const field of this.#each(start, end)) {
      if (field.number !== 13) continue;
      let key = '';
      let value = '';
      for await (const part of this.#each(field.start, field.end)) {
        if (part.number === 1) key = await this.#text(part);
        else if (part.number === 2) value = await this.#text(part);
      }
      if (key === 'location' && !this.externalData.includes(value)) this.externalData.push(value);
    }
  }

  async #value({ start, end }: Field): Promise<OnnxValue> {
    const value: OnnxValue = { name: '', kind: 'unknown', elementType: 0, hasShape: false };
    for await (const field of this.#each(start, end)) {
      if (field.number === 1) value.name = await this.#text(field);
      if (field.number !== 2) continue;
      for await (const type of this.#each(field.start, field.end)) {
        value.kind = KINDS[type.number] ?? value.kind;
        if (type.number !== 1) continue;
        for await (const part of this.#each(type.start, type.end)) {
          if (part.number === 1) value.elementType = part.value;
          else if (part.number === 2) value.hasShape = true;
        }
      }
    }
    return value;
  }

  async #text({ start, end }: Field): Promise<string> {
    if (end - start > WINDOW_BYTES) throw new OnnxFileError('a name is longer than 64 KiB');
    await this.#load(start, end - start);
    const at = start - this.#windowAt;
    return this.#window.toString('utf8', at, at + end - start);
  }

  async *#each(start: number, end: number): AsyncGenerator<Field> {
    let at = start;
    while (at < end) {
      if (++this.#fields > FIELDS_MAX) throw new OnnxFileError('the file has too many fields');
      await this.#load(at, Math.min(20, this.#size - at));
      const [tag, afterTag] = this.#varint(at);
      const number = Math.floor(tag / 8);
      const wire = tag % 8;
      let value = 0;
      let from = afterTag;
      if (wire === 0) [value, at] = this.#varint(afterTag);
      else if (wire === 1) at = afterTag + 8;
      else if (wire === 5) at = afterTag + 4;
      else if (wire === 2) {
        const [length, next] = this.#varint(afterTag);
        from = next;
        at = next + length;
      } else throw new OnnxFileError('the file is not an ONNX file (protobuf)');
      if (number === 0) throw new OnnxFileError('the file is not an ONNX file (protobuf)');
      if (at > end) throw new OnnxFileError('the file ends too early: the file is truncated or not an ONNX file');
      yield { number, value, start: from, end: at };
    }
  }

  #varint(at: number): [number, number] {
    let value = 0;
    let scale = 1;
    for (let i = at; i < at + 10; i++) {
      const byte = this.#window[i - this.#windowAt];
      if (byte === undefined || i >= this.#windowAt + this.#windowLength) break;
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return [value, i + 1];
    }
    throw new OnnxFileError('the file ends too early: the file is truncated or not an ONNX file');
  }

  /** Makes sure that `length` bytes from `at` on are in the window. */
  async #load(at: number, length: number): Promise<void> {
    if (at >= this.#windowAt && at + length <= this.#windowAt + this.#windowLength) return;
    const { bytesRead } = await this.#file.read(this.#window, 0, WINDOW_BYTES, at);
    this.#windowAt = at;
    this.#windowLength = bytesRead;
    if (bytesRead < length) throw new OnnxFileError('the file ends too early');
  }
}

const KINDS: Readonly<Record<number, OnnxValue['kind']>> = {
  1: 'tensor',
  4: 'sequence',
  5: 'map',
  8: 'sparse tensor',
  9: 'optional',
};
