/** Reads the rows of a CSV or JSONL file as inputs, and writes inputs with outputs as a table and as files. */
import type { Prediction, Version } from '../../core/types.ts';
import { words } from '../../core/words.ts';
import { type Field, inputOf } from './fields.ts';

const ROWS_MAX = 1_000;

/** A fault of the file that the reader can correct. */
export class FileFault extends Error {}

interface RowsOptions {
  fields: readonly Field[] | null;
  version: Version;
}

export function parseRows(name: string, text: string, options: RowsOptions): unknown[] {
  const rows = /\.(jsonl|ndjson)$/i.test(name)
    ? parseJsonl(text)
    : parseTable(text, /\.tsv$/i.test(name) ? '\t' : ',', options);
  if (rows.length === 0) throw new FileFault(`${name} has no rows.`);
  if (rows.length > ROWS_MAX)
    throw new FileFault(
      `${name} has ${rows.length.toLocaleString('en-US')} rows. One run takes at most 1,000 rows: split the file.`,
    );
  return rows;
}

/** Each line is an input, or an object with the member `input`. */
function parseJsonl(text: string): unknown[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.flatMap((line, at) => {
    if (line === '') return [];
    try {
      const value = JSON.parse(line);
      return [typeof value === 'object' && value !== null && 'input' in value ? value.input : value];
    } catch {
      throw new FileFault(`Line ${at + 1} is not JSON: ${line.slice(0, 60)}`);
    }
  });
}

function parseTable(text: string, separator: string, { fields, version }: RowsOptions): unknown[] {
  const [head, ...lines] = parseCsv(text, separator);
  if (head === undefined) return [];
  if (fields === null)
    throw new FileFault('The input of this model has no named members. Use a JSONL file with an input in each line.');
  const [tensor] = version.inputs;
  if (version.input_schema === null && version.inputs.length === 1 && tensor !== undefined)
    return tensorRows(tensor.name, head, lines);
  const unknown = head.filter((name) => !fields.some((field) => field.name === name));
  const missing = fields.filter(({ name, required }) => required && !head.includes(name)).map(({ name }) => name);
  if (missing.length > 0)
    throw new FileFault(
      `The first line must name the columns ${fields.map((field) => field.name).join(', ')}. Missing: ${missing.join(', ')}.${unknown.length > 0 ? ` Unknown: ${unknown.join(', ')}.` : ''}`,
    );
  return lines.map((cells) => {
    const values = Object.fromEntries(
      fields.flatMap(({ name }) => (head.includes(name) ? [[name, cells[head.indexOf(name)] ?? '']] : [])),
    );
    // A row with a fault goes to the server, whose error names the row.
    return inputOf(fields, values).input ?? values;
  });
}

/** The columns of a row are the elements of the only tensor. */
function tensorRows(name: string, head: readonly string[], lines: readonly (readonly string[])[]): unknown[] {
  const all = head.every((cell) => Number.isFinite(Number(cell))) ? [head, ...lines] : lines;
  return all.map((cells) => ({ [name]: [cells.map(Number)] }));
}

/** RFC 4180: quoted cells can have separators, line ends and doubled quotes. */
export function parseCsv(text: string, separator = ','): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  const endCell = () => {
    row.push(quoted ? cell : cell.trim());
    cell = '';
    quoted = false;
  };
  const endRow = () => {
    endCell();
    if (row.some((value) => value !== '')) rows.push(row);
    row = [];
  };
  const source = text.replace(/^\uFEFF/, '');
  for (let at = 0; at < source.length; at++) {
    const character = source.charAt(at);
    if (character === '"' && cell.trim() === '' && !quoted) {
      const end = closingQuote(source, at + 1);
      cell = source.slice(at + 1, end).replaceAll('""', '"');
      quoted = true;
      at = end;
    } else if (character === separator) endCell();
    else if (character === '\n') endRow();
    else if (character !== '\r' && !(quoted && character === ' ')) cell += character;
  }
  if (cell !== '' || row.length > 0) endRow();
  return rows;
}

function closingQuote(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text.charAt(at) !== '"') continue;
    if (text.charAt(at + 1) !== '"') return at;
    at += 1;
  }
  throw new FileFault('A quoted cell has no closing quote.');
}

export interface OutputTable {
  head: string[];
  rows: { cells: string[]; failed: boolean }[];
}

type Members = Record<string, unknown>;
const members = (value: unknown): Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : { value };
const textOf = (value: unknown): string =>
  value === null || value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);

/** The member of a tensor's only element is the element. */
function plain(value: unknown): unknown {
  const { data, shape } = members(value) as { data?: unknown; shape?: unknown };
  return Array.isArray(data) && Array.isArray(shape) && data.length === 1 ? data[0] : value;
}

interface Line {
  input: Members;
  output: Members | null;
  error: string;
}

function linesOf(inputs: readonly unknown[], { outputs, row_errors }: Prediction): Line[] {
  const errors = new Map(row_errors?.map(({ row, error }) => [row, error.detail]));
  return inputs.map((input, row) => {
    const output = outputs?.[row];
    return {
      input: members(input),
      output: output === null || output === undefined ? null : members(output),
      error: errors.get(row) ?? '',
    };
  });
}

/** The columns: the inputs, the outputs that are no copy of an input, and the error where a row has an error. */
function columnsOf(lines: readonly Line[]) {
  const inputs = [...new Set(lines.flatMap(({ input }) => Object.keys(input)))];
  const outputs = [...new Set(lines.flatMap(({ output }) => Object.keys(output ?? {})))].filter(
    (name) => !inputs.includes(name),
  );
  return { inputs, outputs, hasErrors: lines.some(({ error }) => error !== '') };
}

export function tableOf(inputs: readonly unknown[], prediction: Prediction): OutputTable {
  const lines = linesOf(inputs, prediction);
  const columns = columnsOf(lines);
  return {
    head: [...columns.inputs, ...columns.outputs].map(words).concat(columns.hasErrors ? ['Error'] : []),
    rows: lines.map(({ input, output, error }) => ({
      failed: error !== '',
      cells: [
        ...columns.inputs.map((name) => textOf(input[name])),
        ...columns.outputs.map((name) => textOf(plain(output?.[name]))),
        ...(columns.hasErrors ? [error] : []),
      ],
    })),
  };
}

export function csvOf(inputs: readonly unknown[], prediction: Prediction): string {
  const lines = linesOf(inputs, prediction);
  const columns = columnsOf(lines);
  const head = [...columns.inputs, ...columns.outputs, 'error'];
  const rows = lines.map(({ input, output, error }) => [
    ...columns.inputs.map((name) => textOf(input[name])),
    ...columns.outputs.map((name) => textOf(plain(output?.[name]))),
    error,
  ]);
  return `${[head, ...rows].map((row) => row.map(csvCell).join(',')).join('\r\n')}\r\n`;
}

/** A spreadsheet runs a cell that begins with one of these characters as a formula. A number stays a number. */
const FORMULA = /^[=+@\t\r]|^-(?![\d.])/;

function csvCell(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function jsonlOf(inputs: readonly unknown[], prediction: Prediction): string {
  const errors = new Map(prediction.row_errors?.map(({ row, error }) => [row, error]));
  return inputs
    .map(
      (input, row) =>
        `${JSON.stringify({ input, output: prediction.outputs?.[row] ?? null, error: errors.get(row) ?? null })}\n`,
    )
    .join('');
}
