/**
 * Joins the outputs of many short rows by their JSON text. The rows of a model differ only in their data: the text between the data is
 * compared as a whole, so that a row costs less than a microsecond. Ten thousand rows that were parsed held the event loop for 130 ms.
 * `tensorsToJson` writes the text that this file reads.
 */

/** The text from the end of the previous data to the beginning of the data of a tensor, with the length of its first dimension. */
interface Head {
  text: string;
  dim: number;
}

interface Layout {
  heads: readonly Head[];
  /** The text behind the last data. */
  tail: string;
}

/** The data of texts can have brackets, so a tensor of texts has no head. Neither has a tensor with labels. */
const HEAD = /^(?:\{|\},)"(?:[^"\\]|\\.)*":\{"dtype":"(?!string")\w+","shape":\[(\d+)(?:,\d+)*\],"data":\[$/;
const DATA = '"data":[';

/** The JSON text of the joined tensors; undefined if a row has another form, or if the rows differ in more than their data. */
export function joinShortRows(rows: readonly string[]): string | undefined {
  const layout = layoutOf(rows[0] ?? '');
  const data: string[][] | undefined = layout?.heads.map(() => []);
  if (layout === undefined || data === undefined) return undefined;
  for (const row of rows) if (!addData(row, layout, data)) return undefined;
  const tensors = layout.heads.map(({ text, dim }, at) => {
    const head = text.replace(`"shape":[${dim}`, `"shape":[${dim * rows.length}`);
    return `${head}${(data[at] ?? []).join(',')}]`;
  });
  return tensors.join('') + layout.tail;
}

function layoutOf(row: string): Layout | undefined {
  const heads: Head[] = [];
  let at = 0;
  for (let found = row.indexOf(DATA); found !== -1; found = row.indexOf(DATA, at)) {
    const text = row.slice(at, found + DATA.length);
    const [, dim] = HEAD.exec(text) ?? [];
    const end = row.indexOf(']', found + DATA.length);
    if (dim === undefined || end === -1) return undefined;
    heads.push({ text, dim: Number(dim) });
    at = end + 1;
  }
  const tail = row.slice(at);
  return heads.length > 0 && tail === '}}' ? { heads, tail } : undefined;
}

/** Adds the data of a row. Returns false for a row of another layout. */
function addData(row: string, { heads, tail }: Layout, data: readonly string[][]): boolean {
  let at = 0;
  for (const [tensor, { text }] of heads.entries()) {
    const from = at + text.length;
    const end = row.startsWith(text, at) ? row.indexOf(']', from) : -1;
    if (end === -1) return false;
    if (end > from) data[tensor]?.push(row.slice(from, end));
    at = end + 1;
  }
  return row.length === at + tail.length && row.endsWith(tail);
}
