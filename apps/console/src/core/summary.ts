/** A prediction in words: its input or output in a few words, before its id. */
import { count, counted, number } from './format.ts';
import type { Prediction } from './types.ts';
import { words } from './words.ts';

const TEXTS_MAX = 3;
const LENGTH_MAX = 60;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const cut = (text: string): string => (text.length > LENGTH_MAX ? `${text.slice(0, LENGTH_MAX)}…` : text);

/** `Warfarin · Fluconazole`, `1 × 5`, `12 rows`. A succeeded prediction has no input, so the texts of its output name the input. */
export function subjectOf(prediction: Prediction): string {
  const { rows, input, inputs, outputs, output } = prediction;
  if (Array.isArray(outputs) || Array.isArray(inputs) || (rows ?? 1) > 1)
    return counted(rows ?? outputs?.length ?? inputs?.length ?? 0, 'row');
  return texts(input) ?? texts(output) ?? shapes(input) ?? shapes(output) ?? 'One row';
}

function texts(value: unknown): string | undefined {
  if (typeof value === 'string') return cut(value);
  if (!isObject(value)) return undefined;
  const entries = Object.entries(value).flatMap(([name, member]) =>
    typeof member === 'string' && member !== '' && !LONG.test(name) ? [member] : [],
  );
  return entries.length === 0 ? undefined : cut(entries.slice(0, TEXTS_MAX).join(' · '));
}

/** Members that explain an output, and do not name the input. */
const LONG = /^(basis|reason|explanation|note|detail)$/;

function shapes(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  const found = Object.entries(value).flatMap(([name, member]) => {
    if (isObject(member) && Array.isArray(member.shape)) return [`${name} ${member.shape.join(' × ')}`];
    return Array.isArray(member) ? [`${name} ${shapeOf(member).join(' × ')}`] : [];
  });
  return found.length === 0 ? undefined : cut(found.slice(0, TEXTS_MAX).join(', '));
}

function shapeOf(value: unknown): number[] {
  return Array.isArray(value) ? [value.length, ...shapeOf(value[0])] : [];
}

/** `interaction 0.993`, `no interaction 0.003`, `probability 0.689`, `1,000 outputs`. */
export function resultOf({ output, outputs }: Prediction): string | undefined {
  if (Array.isArray(outputs)) return `${count(outputs.length)} outputs`;
  if (typeof output === 'number') return number(output);
  if (typeof output === 'string') return cut(output);
  if (Array.isArray(output)) return counted(output.length, 'item');
  if (!isObject(output)) return undefined;
  const flag = Object.entries(output).find(([, value]) => typeof value === 'boolean');
  const figure = Object.entries(output).find(([, value]) => numberIn(value) !== undefined);
  const value = figure === undefined ? undefined : numberIn(figure[1]);
  if (flag)
    return `${flag[1] === true ? '' : 'no '}${words(flag[0]).toLowerCase()}${value === undefined ? '' : ` ${number3(value)}`}`;
  if (figure && value !== undefined) return `${words(figure[0]).toLowerCase()} ${number3(value)}`;
  return texts(output) ?? shapes(output);
}

const number3 = (value: number): string => (value >= 0 && value <= 1 ? value.toFixed(3) : number(value));

function numberIn(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (isObject(value) && Array.isArray(value.data) && value.data.length === 1 && typeof value.data[0] === 'number')
    return value.data[0];
  return undefined;
}
