/** An output for people: a probability as a bar, labels as bars, images, tables, and otherwise names with values. */
import { count, number, percent } from '../core/format.ts';
import type { Schema } from '../core/types.ts';
import { words } from '../core/words.ts';
import { html, type Markup } from './html.ts';

/** The member of a text task that states whether the text was cut. */
const TRUNCATED = 'truncated';
const ROWS_MAX = 100;
const COLUMNS_MAX = 12;
const BARS_MAX = 20;

type Members = Record<string, unknown>;

export const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isShare = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value <= 1;
const isImage = (value: unknown): value is string =>
  typeof value === 'string' && /^data:image\/(png|jpeg|webp|gif|svg\+xml);base64,/.test(value);

export interface Share {
  name: string;
  value: number;
}

/** The member of an output that is a probability: the schema says so, or the name does. */
export function shareOf(output: unknown, schema: Schema | null): Share | undefined {
  if (!isObject(output)) return undefined;
  for (const [name, value] of Object.entries(output)) {
    const plain = tensorNumbers(value);
    const single = plain?.length === 1 ? plain[0] : value;
    if (!isShare(single)) continue;
    const property = schema?.properties?.[name];
    const bounded = property?.minimum === 0 && property?.maximum === 1;
    if (bounded || /^(probability|score|confidence|prob|p)$/i.test(name)) return { name, value: single };
  }
  return undefined;
}

/** The elements of a tensor in JSON. */
function tensorNumbers(value: unknown): number[] | undefined {
  if (!isObject(value) || !Array.isArray(value.data) || !Array.isArray(value.shape)) return undefined;
  return value.data.every((element) => typeof element === 'number') ? value.data : undefined;
}

/** Bars for classes: a list of labels with scores, or a map from labels to scores. */
function labelsOf(output: unknown): Share[] | undefined {
  const list = isObject(output) && Object.keys(output).length === 1 ? Object.values(output)[0] : output;
  if (
    Array.isArray(list) &&
    list.length > 1 &&
    list.every((item) => isObject(item) && typeof item.label === 'string' && isShare(scoreOf(item)))
  )
    return list.map((item) => ({ name: String(item.label), value: Number(scoreOf(item)) }));
  if (isObject(list) && Object.keys(list).length > 1 && Object.values(list).every(isShare))
    return Object.entries(list).map(([name, value]) => ({ name, value: Number(value) }));
  return undefined;
}

const scoreOf = (item: Members): unknown => item.score ?? item.probability ?? item.confidence;

/** `Interaction` and `No interaction`, from the boolean that stands beside a probability. */
export function verdictOf(output: unknown): string | undefined {
  if (!isObject(output)) return undefined;
  const flag = Object.entries(output).find(([name, value]) => typeof value === 'boolean' && name !== TRUNCATED);
  if (flag === undefined) return undefined;
  const [name, value] = flag;
  return value === true ? words(name) : `No ${words(name).toLowerCase()}`;
}

export interface Classified {
  /** The label with the highest score. */
  label: string;
  scores: Share[];
  /** The other members, such as the number of tokens. */
  rest: [string, unknown][];
}

/** The output of a classification: a label, and the scores of all labels. */
export function classifiedOf(output: unknown): Classified | undefined {
  if (!isObject(output)) return undefined;
  const { label, score: _, scores, ...rest } = output;
  const shares = Array.isArray(scores) ? labelsOf(scores.length === 1 ? [...scores, ...scores] : scores) : undefined;
  if (typeof label !== 'string' || shares === undefined) return undefined;
  return { label, scores: Array.isArray(scores) ? shares.slice(0, scores.length) : shares, rest: Object.entries(rest) };
}

function classified({ label, scores, rest }: Classified, schema: Schema | null): Markup {
  const best = Math.max(...scores.map(({ value }) => value));
  return html`<p class="verdict-line"><strong>${label}</strong><output>${percent(best)} <small>%</small></output></p>
    ${bars(scores)}${rest.length > 0 ? pairs(rest, schema) : null}`;
}

export function drawOutput(output: unknown, schema: Schema | null): Markup {
  const classes = classifiedOf(output);
  if (classes !== undefined) return classified(classes, schema);
  const share = shareOf(output, schema);
  if (share !== undefined && isObject(output)) return verdict(output, share, schema);
  const labels = labelsOf(output);
  if (labels !== undefined) return bars(labels);
  return drawValue(output, schema);
}

function verdict(output: Members, share: Share, schema: Schema | null): Markup {
  const word = verdictOf(output) ?? words(share.name);
  const rest = Object.entries(output).filter(
    ([name, value]) => name !== share.name && (typeof value !== 'boolean' || name === TRUNCATED),
  );
  const about = schema?.properties?.[share.name]?.description;
  return html`<p class="verdict-line"><strong>${word}</strong><output>${percent(share.value)} <small>%</small></output></p>
    <svg class="meter" height="14" role="img" aria-label=${`${words(share.name)} ${percent(share.value)} %`}>
      <rect class="ground" y="3" width="100%" height="8" rx="4" /><rect class="value" y="3" width=${`${share.value * 100}%`} height="8" rx="4" />
      <line class="mark" x1="50%" x2="50%" y1="1" y2="13" />
    </svg>
    <div class="scale" aria-hidden="true"><span>0</span><span>0.5</span><span>1</span></div>
    ${about ? html`<p class="why">${words(share.name)}: ${lowerFirst(about)}</p>` : null}
    ${rest.length > 0 ? pairs(rest, schema) : null}`;
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

function bars(labels: readonly Share[]): Markup {
  const sorted = labels.toSorted((a, b) => b.value - a.value);
  const more = sorted.length - BARS_MAX;
  return html`<dl class="fall labels">${sorted
    .slice(0, BARS_MAX)
    .map(
      ({ name, value }) =>
        html`<dt title=${name}>${name}</dt><dd><svg role="img" aria-label=${`${percent(value)} %`}><rect class="work" y="7" width=${`${Math.max(value * 100, 0.3)}%`} height="8" rx="1.5" /></svg></dd><dd class="num">${percent(value)} %</dd>`,
    )}</dl>${more > 0 ? html`<p class="hint">${count(more)} further labels are in the JSON.</p>` : null}`;
}

function pairs(entries: readonly [string, unknown][], schema: Schema | null): Markup {
  return html`<dl class="pairs out">${entries.map(
    ([name, value]) =>
      html`<dt title=${schema?.properties?.[name]?.description}>${words(name)}</dt><dd>${drawValue(value, schema?.properties?.[name] ?? null)}</dd>`,
  )}</dl>`;
}

function drawValue(value: unknown, schema: Schema | null): Markup {
  if (value === null || value === undefined) return html`<span class="zero">–</span>`;
  if (typeof value === 'number') return number(value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (isImage(value)) return html`<img class="picture" src=${value} alt="Image of the output" />`;
  if (typeof value === 'string')
    return schema?.contentMediaType?.startsWith('image/')
      ? html`<img class="picture" src=${`data:${schema.contentMediaType};base64,${value}`} alt="Image of the output" />`
      : value;
  if (Array.isArray(value)) return drawList(value);
  if (isObject(value)) return drawMembers(value, schema);
  return String(value);
}

function drawMembers(value: Members, schema: Schema | null): Markup {
  const numbers = tensorNumbers(value);
  if (numbers) return tensor(numbers, value.shape as number[], String(value.dtype ?? ''));
  return pairs(Object.entries(value), schema);
}

function tensor(numbers: readonly number[], shape: readonly number[], dtype: string): Markup {
  const width = shape.at(-1) ?? 1;
  const note = html`<span class="quiet mono small">${dtype} [${shape.join(', ')}]</span>`;
  if (numbers.length === 1) return html`${number(numbers[0] ?? 0)} ${note}`;
  const lines =
    shape.length < 2
      ? [numbers]
      : Array.from({ length: Math.min(ROWS_MAX, numbers.length / width) }, (_, line) =>
          numbers.slice(line * width, (line + 1) * width),
        );
  return html`${note}${table({ head: [], rows: lines.map((line) => line.map((element) => number(element))), total: numbers.length / width, label: 'Elements' })}`;
}

function drawList(items: readonly unknown[]): Markup {
  if (items.length === 0) return html`<span class="zero">none</span>`;
  if (items.every((item) => typeof item === 'string' || typeof item === 'number')) {
    const shown = items.slice(0, ROWS_MAX).map((item) => (typeof item === 'number' ? number(item) : item));
    return shown.join(', ') + (items.length > shown.length ? `, and ${count(items.length - shown.length)} more` : '');
  }
  return rowsTable(items);
}

/** A table of objects, with a column for each member; other items have one column. */
export function rowsTable(items: readonly unknown[]): Markup {
  const names = [
    ...new Set(items.slice(0, ROWS_MAX).flatMap((item) => (isObject(item) ? Object.keys(item) : []))),
  ].slice(0, COLUMNS_MAX);
  const rows = items
    .slice(0, ROWS_MAX)
    .map((item) => (isObject(item) && names.length > 0 ? names.map((name) => cell(item[name])) : [cell(item)]));
  return table({ head: names.map(words), rows, total: items.length, label: 'Items' });
}

export const cell = (value: unknown): string => {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'number') return number(value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return typeof value === 'string' ? value : JSON.stringify(value);
};

interface TableProps {
  head: readonly string[];
  rows: readonly (readonly string[])[];
  total: number;
  label: string;
}

function table({ head, rows, total, label }: TableProps): Markup {
  const isNumber = (at: number) => rows.every((row) => /^[-–\d.,e+]*$/.test(row[at] ?? ''));
  const cells = (row: readonly string[]) =>
    row
      .slice(0, COLUMNS_MAX)
      .map((text, at) => html`<td class=${`cut ${isNumber(at) ? 'num' : ''}`} title=${text}>${text}</td>`);
  return html`<div class="table flush items" tabindex="0" role="region" aria-label=${label}><table>
      ${head.length > 0 ? html`<thead><tr>${head.map((name, at) => html`<th scope="col" class=${isNumber(at) ? 'num' : ''}>${name}</th>`)}</tr></thead>` : null}
      <tbody>${rows.map((row) => html`<tr>${cells(row)}</tr>`)}</tbody>
    </table></div>
    ${total > rows.length ? html`<p class="hint">The first ${count(rows.length)} of ${count(total)}. The JSON has all.</p>` : null}`;
}
