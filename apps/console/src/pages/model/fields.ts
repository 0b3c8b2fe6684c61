/**
 * The fields of a model's form, from the schema of its input. A model without a schema takes tensors, and each tensor is a field.
 * A field holds the text that the reader typed; `inputOf` converts the texts to the input.
 */
import type { Schema, Tensor, Version } from '../../core/types.ts';
import { words } from '../../core/words.ts';

/** `long` is a text of several lines, and `list` is a list of texts. */
export type FieldKind =
  | 'entity'
  | 'text'
  | 'long'
  | 'list'
  | 'number'
  | 'choice'
  | 'flag'
  | 'image'
  | 'json'
  | 'tensor';

export interface Field {
  name: string;
  label: string;
  kind: FieldKind;
  required: boolean;
  description: string;
  placeholder: string;
  /** The type of entities of an entity field. */
  entity?: string;
  /** The values of a choice. */
  choices?: unknown[];
  integer?: boolean;
  minimum?: number;
  maximum?: number;
  tensor?: Tensor;
  /** An image field gives a data URI, or only its base64. */
  dataUri?: boolean;
  /** The image can also be a URL, or the id of a stored file. */
  stored?: boolean;
  /** The least number of texts of a list. */
  least?: number;
}

/** Texts by the names of the fields. */
export type Values = Readonly<Record<string, string>>;

/** `entities` are the types of entities that the version reads. Null: the input has no members, so only JSON can describe the input. */
export function fieldsOf({ input_schema: schema, inputs }: Version, entities: readonly string[]): Field[] | null {
  if (schema === null) return inputs.map(tensorField);
  if (schema.type !== 'object' || schema.properties === undefined) return null;
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties).map(([name, property]) => ({
    name,
    label: property.title ?? words(name),
    required: required.has(name),
    description: property.description ?? '',
    placeholder: '',
    ...kindOf(name, property, entities),
  }));
}

const tensorField = (tensor: Tensor): Field => ({
  name: tensor.name,
  label: tensor.name,
  kind: 'tensor',
  required: true,
  description: `${tensor.dtype} [${tensor.shape.map((size) => size || '?').join(', ')}]`,
  placeholder: exampleOf(tensor.shape),
  tensor,
});

/** Zeros in the tensor's shape, of at most eight elements in the last dimension. */
function exampleOf(shape: readonly (number | string)[]): string {
  const last = shape.at(-1);
  const width = typeof last === 'number' ? Math.min(last, 8) : 1;
  const row = `[${Array.from({ length: width }, () => '0').join(', ')}${typeof last === 'number' && last > 8 ? ', …' : ''}]`;
  return '['.repeat(Math.max(0, shape.length - 1)) + row + ']'.repeat(Math.max(0, shape.length - 1));
}

function kindOf(name: string, property: Schema, entities: readonly string[]): Partial<Field> & { kind: FieldKind } {
  const schema = simplest(property);
  const examples = schema.examples ?? property.examples ?? [];
  const placeholder =
    typeof examples[0] === 'string' || typeof examples[0] === 'number' ? `Such as ${examples[0]}` : '';
  const description = property.description ?? schema.description ?? '';
  const choices = schema.enum ?? constants(property);
  if (choices) return { kind: 'choice', choices, description };
  if (property.anyOf?.some(isFileReference)) return { kind: 'image', stored: true, description };
  if (schema.contentMediaType?.startsWith('image/') || schema.format === 'image')
    return { kind: 'image', dataUri: schema.contentEncoding !== 'base64', description };
  if (schema.type === 'string') {
    const entity = entities.find((type) => name === type || name.startsWith(`${type}_`) || name.endsWith(`_${type}`));
    if (entity !== undefined) return { kind: 'entity', entity, placeholder, description };
    return { kind: (schema.maxLength ?? 0) > LINE_MAX ? 'long' : 'text', placeholder, description };
  }
  if (schema.type === 'array' && schema.items?.type === 'string' && schema.items.enum === undefined)
    return { kind: 'list', placeholder: '', description, least: schema.minItems ?? 0 };
  if (schema.type === 'number' || schema.type === 'integer')
    return { kind: 'number', placeholder, description, ...rangeOf(schema) };
  if (schema.type === 'boolean') return { kind: 'flag', description };
  return { kind: 'json', placeholder: examples[0] === undefined ? '' : JSON.stringify(examples[0]), description };
}

/** A text that can be longer has several lines. */
const LINE_MAX = 2_000;

/** `{"file": "file_..."}`. */
const isFileReference = ({ type, properties }: Schema): boolean =>
  type === 'object' && properties?.file?.type === 'string' && Object.keys(properties).length === 1;

function rangeOf(schema: Schema): Partial<Field> {
  const minimum = schema.minimum ?? schema.exclusiveMinimum;
  const maximum = schema.maximum ?? schema.exclusiveMaximum;
  return {
    integer: schema.type === 'integer',
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
  };
}

/** Of several forms, the form that a reader can type: a text, then a number. */
function simplest(schema: Schema): Schema {
  const forms = schema.anyOf ?? schema.oneOf;
  if (forms === undefined) return schema;
  return (
    forms.find(({ type }) => type === 'string') ??
    forms.find(({ type }) => type === 'number' || type === 'integer') ??
    forms[0] ??
    schema
  );
}

/** The values of a schema that is a choice between constants. */
function constants({ anyOf, oneOf }: Schema): unknown[] | undefined {
  const forms = anyOf ?? oneOf;
  if (forms === undefined || forms.length < 2 || !forms.every((form) => form.const !== undefined)) return undefined;
  return forms.map((form) => form.const);
}

/** The texts of the fields for an input; undefined where a field cannot show its value. */
export function valuesOf(fields: readonly Field[], input: unknown): Values | undefined {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return undefined;
  const given = input as Record<string, unknown>;
  if (Object.keys(given).some((name) => !fields.some((field) => field.name === name))) return undefined;
  const values: Record<string, string> = {};
  for (const field of fields) {
    const value = given[field.name];
    if (value === undefined) continue;
    const text = textOf(field, value);
    if (text === undefined) return undefined;
    values[field.name] = text;
  }
  return values;
}

function textOf({ kind, stored }: Field, value: unknown): string | undefined {
  if (kind === 'json' || kind === 'tensor') return JSON.stringify(value);
  if (kind === 'list') return isList(value) ? value.join('\n') : undefined;
  if (typeof value === 'string') return value;
  if (stored) return fileOf(value);
  return kind === 'number' || kind === 'choice' || kind === 'flag' ? JSON.stringify(value) : undefined;
}

const isList = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.every((one) => typeof one === 'string' && one !== '' && one.trim() === one && !/\n/.test(one));

function fileOf(value: unknown): string | undefined {
  const { file } = Object(value) as { file?: unknown };
  return typeof file === 'string' ? file : undefined;
}

export type Converted =
  | { input: Record<string, unknown>; faults?: never }
  | { input?: never; faults: Record<string, string> };

/** The input of the texts, or the fault of each field. */
export function inputOf(fields: readonly Field[], values: Values): Converted {
  const input: Record<string, unknown> = {};
  const faults: Record<string, string> = {};
  for (const field of fields) {
    const given = values[field.name] ?? '';
    const text = given.trim();
    if (text === '' && field.kind !== 'flag') {
      if (field.required) faults[field.name] = `${field.label} is required.`;
      continue;
    }
    try {
      input[field.name] = field.kind === 'long' ? given : convertText(field, text);
    } catch (error) {
      faults[field.name] = error instanceof Error ? error.message : String(error);
    }
  }
  return Object.keys(faults).length > 0 ? { faults } : { input };
}

function convertText(field: Field, text: string): unknown {
  if (field.kind === 'number') return numberOf(field, text);
  if (field.kind === 'flag') return text === 'true';
  if (field.kind === 'choice') return field.choices?.find((choice) => String(choice) === text) ?? text;
  if (field.kind === 'list') return listOf(field, text);
  if (field.stored && text.startsWith('file_')) return { file: text };
  if (field.kind !== 'json' && field.kind !== 'tensor') return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(
      field.kind === 'tensor'
        ? `${field.label} is not JSON. Expected ${field.placeholder}.`
        : `${field.label} is not JSON.`,
    );
  }
}

function listOf({ label, least = 0 }: Field, text: string): string[] {
  const list = text.split('\n').flatMap((line) => line.trim() || []);
  if (list.length < least) throw new Error(`${label} needs at least ${least} lines.`);
  return list;
}

function numberOf({ label, integer, minimum, maximum }: Field, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Error(`${label} is not a number.`);
  if (integer && !Number.isInteger(value)) throw new Error(`${label} is not a whole number.`);
  if (minimum !== undefined && value < minimum) throw new Error(`${label} is below ${minimum}.`);
  if (maximum !== undefined && value > maximum) throw new Error(`${label} is above ${maximum}.`);
  return value;
}
