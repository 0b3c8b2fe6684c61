/** Joins the outputs of a prediction's rows as text: long outputs are not parsed. */
import { joinLongRows } from './long-rows.ts';
import { joinTexts, LONG_TEXT_BYTES, type Text } from './long-text.ts';
import { joinShortRows } from './short-rows.ts';
import type { Task } from './task.ts';

/** The JSON text of a prediction's output. `rows` are the JSON texts of the outputs of its rows, in order. */
export function assembleOutput(shape: Task['shape'], rows: readonly Text[]): Text {
  // The tensors of one row are the tensors of the prediction.
  if (shape === 'one' || (shape === 'tensors' && rows.length === 1)) return rows[0] ?? 'null';
  const isLong = rows.reduce((sum, { length }) => sum + length, 0) > LONG_TEXT_BYTES;
  if (shape === 'list') {
    if (!isLong) return `[${rows.join(',')}]`;
    return joinTexts(['[', ...rows.flatMap((row, at) => (at === 0 ? [row] : [',', row])), ']']);
  }
  const joined = rows.every((row) => typeof row === 'string') ? joinShortRows(rows) : undefined;
  if (joined !== undefined) return isLong ? joinTexts([joined]) : joined;
  return (isLong || hasNumericName(rows[0]) ? joinLongRows(rows) : undefined) ?? joinTensorRows(rows.map(String));
}

/** Whether a name can be numeric, such as "448". A parsed object has numeric names first, and not in the order of the model. */
const hasNumericName = (row: Text | undefined): boolean => typeof row === 'string' && /"\d+":\{/.test(row);

type TensorJson = { dtype: string; shape: number[]; data: unknown[] } & Record<string, unknown>;

/** Joins tensor outputs (`{"y": {"dtype", "shape", "data"}}`, one row each) along their first dimension. */
function joinTensorRows(rows: readonly string[]): string {
  const parsed: Record<string, TensorJson>[] = rows.map((row) => JSON.parse(row));
  const members = Object.entries(parsed[0] ?? {}).map(([name, { dtype, shape, data: _, ...rest }]) => {
    const parts = parsed.flatMap((row) => row[name] ?? []);
    const rowTotal = parts.reduce((sum, part) => sum + (part.shape[0] ?? 0), 0);
    // Other members (labels) have an item for each row, or are the same in all rows.
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
