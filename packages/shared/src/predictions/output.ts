/** Puts the outputs of a prediction's rows together, as text: outputs are never parsed where that can be helped. */
import type { Task } from './task.ts';

/** The JSON text of a prediction's output from that of each of its rows, in order. */
export function assembleOutput(shape: Task['shape'], rows: readonly string[]): string {
  if (shape === 'one') return rows[0] as string;
  if (shape === 'list') return `[${rows.join(',')}]`;
  return joinTensorRows(rows);
}

type TensorJson = { dtype: string; shape: number[]; data: unknown[] } & Record<string, unknown>;

/** Joins tensor outputs (`{"y": {"dtype", "shape", "data"}}`, one row each) along their first dimension. */
function joinTensorRows(rows: readonly string[]): string {
  const parsed = rows.map((row) => JSON.parse(row) as Record<string, TensorJson>);
  const first = parsed[0] as Record<string, TensorJson>;
  const members = Object.keys(first).map((name) => {
    const parts = parsed.map((row) => row[name] as TensorJson);
    const { dtype, shape, data: _, ...rest } = first[name] as TensorJson;
    const rowTotal = parts.reduce((sum, part) => sum + (part.shape[0] as number), 0);
    // Other members (labels) have an item for each row, or are the same in all.
    const others = Object.entries(rest).map(
      ([key]) => `${JSON.stringify(key)}:${JSON.stringify(parts.flatMap((part) => part[key]))}`,
    );
    const data = parts.flatMap((part) => part.data.map((item) => (Object.is(item, -0) ? '-0' : JSON.stringify(item))));
    const body = [
      `"dtype":"${dtype}"`,
      `"shape":${JSON.stringify([rowTotal, ...shape.slice(1)])}`,
      `"data":[${data.join(',')}]`,
    ];
    return `${JSON.stringify(name)}:{${[...body, ...others].join(',')}}`;
  });
  return `{${members.join(',')}}`;
}
