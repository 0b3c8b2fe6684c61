/**
 * The JSON text of float32 numbers. A writer in WebAssembly (number-writer.c) finds the shortest text of each number. JavaScript only has
 * the text of a double, and a search for the shortest text by rounding takes ten times as long.
 */
import { openProgram } from './web-assembly.ts';

interface Writer {
  memory: { buffer: ArrayBuffer };
  write(count: number): number;
  numbers_at(): number;
  text_at(): number;
}

const writer = openProgram<Writer>(new URL('./number-writer.wasm', import.meta.url), [
  'memory',
  'write',
  'numbers_at',
  'text_at',
]);
const { buffer } = writer.memory;
/** Numbers of `numbers`, and bytes for each of them in `text`, in number-writer.c. */
const CHUNK = 4_096;
const LONGEST = 24;
const numbers = new Float32Array(buffer, writer.numbers_at(), CHUNK);
const text = Buffer.from(buffer, writer.text_at(), CHUNK * LONGEST);

/**
 * The numbers as JSON, separated by commas. Each text parses to the same float32. A whole number below 2^53 has all its digits, and any
 * other number the fewest digits. NaN and infinities are quoted. The notation is that of JavaScript (`5e-7`, `0.000005`).
 */
export function float32Text(values: Float32Array): string {
  let all = '';
  for (let at = 0; at < values.length; at += CHUNK) {
    const count = Math.min(CHUNK, values.length - at);
    numbers.set(count === values.length ? values : values.subarray(at, at + count));
    const piece = text.toString('latin1', 0, writer.write(count));
    all = at === 0 ? piece : `${all},${piece}`;
  }
  return all;
}
