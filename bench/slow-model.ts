/**
 * An ONNX model that takes a wanted time on one core, however many threads it is given: a Loop whose every turn needs
 * the one before. Written byte by byte, since no ONNX writer is installed here; the field numbers are onnx.proto3's.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { median } from './statistics.ts';

const width = 64;
const FLOAT = 1;
const INT64 = 7;
const BOOL = 9;

/** Writes `<modelsDir>/slow/1/model.onnx` and its model.json; resolves to the milliseconds that a run takes here. */
export async function writeSlowModel(modelsDir: string, wantedMs: number): Promise<number> {
  let turns = 2_000;
  // Twice: the first trial also warms the machine up.
  for (let n = 0; n < 2; n++) turns = Math.max(1, Math.round((turns * wantedMs) / (await runMs(slowModel(turns)))));
  const bytes = slowModel(turns);
  await mkdir(path.join(modelsDir, 'slow/1'), { recursive: true });
  await writeFile(path.join(modelsDir, 'slow/1/model.onnx'), bytes);
  const config = { description: `A model of ${wantedMs} ms a run.`, max_batch: 1, row_independent: false };
  await writeFile(path.join(modelsDir, 'slow/model.json'), JSON.stringify(config));
  return runMs(bytes);
}

async function runMs(bytes: Uint8Array): Promise<number> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const x = new Tensor('float32', new Float32Array(width).fill(0.5), [1, width]);
  const took: number[] = [];
  for (let n = 0; n < 9; n++) {
    const start = performance.now();
    await session.run({ x });
    took.push(performance.now() - start);
  }
  await session.release();
  return median(took);
}

/** x [1, 64] → y [1, 64]: tanh(y · w), `turns` times over. */
function slowModel(turns: number): Uint8Array {
  const weights = new Float32Array(width * width).map((_, index) => Math.sin(index) / Math.sqrt(width));
  const body = graph({
    name: 'turn',
    nodes: [
      node('MatMul', ['state', 'w'], ['product']),
      node('Tanh', ['product'], ['next']),
      node('Identity', ['going'], ['go']),
    ],
    inputs: [value('turn_number', INT64, []), value('going', BOOL, []), value('state', FLOAT, [1, width])],
    outputs: [value('go', BOOL, []), value('next', FLOAT, [1, width])],
  });
  const whole = graph({
    name: 'slow',
    nodes: [node('Loop', ['turns', '', 'x'], ['y'], [graphAttribute('body', body)])],
    initializers: [
      tensor('turns', INT64, [], Buffer.from(BigInt64Array.of(BigInt(turns)).buffer)),
      tensor('w', FLOAT, [width, width], Buffer.from(weights.buffer)),
    ],
    inputs: [value('x', FLOAT, [1, width])],
    outputs: [value('y', FLOAT, [1, width])],
  });
  const opset = varintField(2, 17);
  return Buffer.concat([varintField(1, 8), field(7, whole), field(8, opset)]);
}

interface GraphParts {
  name: string;
  nodes: Buffer[];
  initializers?: Buffer[];
  inputs: Buffer[];
  outputs: Buffer[];
}

function graph({ name, nodes, initializers = [], inputs, outputs }: GraphParts): Buffer {
  return Buffer.concat([
    ...nodes.map((part) => field(1, part)),
    field(2, Buffer.from(name)),
    ...initializers.map((part) => field(5, part)),
    ...inputs.map((part) => field(11, part)),
    ...outputs.map((part) => field(12, part)),
  ]);
}

function node(type: string, inputs: string[], outputs: string[], attributes: Buffer[] = []): Buffer {
  return Buffer.concat([
    ...inputs.map((name) => field(1, Buffer.from(name))),
    ...outputs.map((name) => field(2, Buffer.from(name))),
    field(4, Buffer.from(type)),
    ...attributes.map((part) => field(5, part)),
  ]);
}

function graphAttribute(name: string, value: Buffer): Buffer {
  return Buffer.concat([field(1, Buffer.from(name)), field(6, value), varintField(20, 5)]);
}

function tensor(name: string, type: number, dims: number[], raw: Buffer): Buffer {
  const head = [...dims.map((dim) => varintField(1, dim)), varintField(2, type), field(8, Buffer.from(name))];
  return Buffer.concat([...head, field(9, raw)]);
}

/** A ValueInfoProto of a tensor type. */
function value(name: string, type: number, dims: number[]): Buffer {
  const shape = Buffer.concat(dims.map((dim) => field(1, varintField(1, dim))));
  const tensorType = Buffer.concat([varintField(1, type), field(2, shape)]);
  return Buffer.concat([field(1, Buffer.from(name)), field(2, field(1, tensorType))]);
}

function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function varintField(number: number, value: number): Buffer {
  return Buffer.concat([varint(number << 3), varint(value)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
