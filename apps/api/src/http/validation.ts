/** Checks values against TypeBox schemas, and says of each fault where it is, what was expected and what came. */
import { ApiError, type Fault } from '@millrace/shared/errors';
import { escapePart, unescapePart } from '@millrace/shared/text/json-pointer';
import { nearNames } from '@millrace/shared/text/near-names';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Settings } from 'typebox/system';

/** Most faults that one answer tells. */
const FAULTS_MAX = 20;
// TypeBox tells eight unless asked: a choice of seven words used them up, and the fault after it was never told.
Settings.Set({ maxErrors: 200 });

interface SchemaError {
  keyword: string;
  schemaPath: string;
  instancePath: string;
  params: Record<string, unknown>;
  message: string;
}

type Loose = Record<string, unknown>;

/** A function that throws an ApiError with all faults when the value does not fit. Pointers are relative to the value. */
export function checkerOf(schema: TSchema): (value: unknown) => void {
  const validator = Compile(schema);
  return (value) => {
    if (validator.Check(value)) return;
    const faults = faultsOf(schema, value, validator.Errors(value) as SchemaError[]);
    throw new ApiError('invalid_request', summary(faults), { faults });
  };
}

export function summary(faults: readonly Fault[]): string {
  const [first] = faults;
  if (!first) return 'The request is not of the right form.';
  const where = first.pointer === '' ? '' : ` at ${first.pointer}`;
  const wanted = first.expected === undefined ? '' : `: expected ${first.expected}, got ${first.got}`;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  return `${first.message}${where}${wanted}${more}.`;
}

export function faultsOf(schema: TSchema, value: unknown, errors: readonly SchemaError[]): Fault[] {
  // What fails inside the branches of a choice is told once, as the choice.
  const choices = errors.filter(({ keyword }) => keyword === 'anyOf').map(({ schemaPath }) => `${schemaPath}/anyOf/`);
  const faults = new Map<string, Fault>();
  const told = errors.filter(({ keyword }) => keyword !== 'boolean');
  // Of many unknown members each is an error of its own, and the error that names them all comes after the last one kept.
  for (const error of told.length > 0 ? told : errors.slice(0, FAULTS_MAX).map(unknownMember)) {
    if (faults.size >= FAULTS_MAX) break;
    if (choices.some((path) => error.schemaPath.startsWith(path))) continue;
    for (const fault of faultsOfError(schema, value, error)) {
      if (faults.size < FAULTS_MAX && !faults.has(fault.pointer)) faults.set(fault.pointer, fault);
    }
  }
  return [...faults.values()];
}

/** The error of one member that its schema does not allow, in the form of the error that names all such members. */
function unknownMember({ schemaPath, instancePath, ...error }: SchemaError): SchemaError {
  const at = instancePath.lastIndexOf('/');
  return {
    ...error,
    keyword: 'additionalProperties',
    schemaPath: schemaPath.replace(/\/additionalProperties$/, ''),
    instancePath: instancePath.slice(0, at),
    params: { additionalProperties: [unescapePart(instancePath.slice(at + 1))] },
  };
}

function faultsOfError(root: TSchema, value: unknown, error: SchemaError): Fault[] {
  const { keyword, instancePath, params } = error;
  const at = valueAt(value, instancePath);
  const schema = schemaAt(root, error.schemaPath);
  const fields = Object.keys((schema?.properties as Loose | undefined) ?? {});
  if (keyword === 'required') {
    return (params.requiredProperties as string[]).slice(0, FAULTS_MAX).map((name) => ({
      pointer: `${instancePath}/${escapePart(name)}`,
      message: `The field ${name} is missing`,
      expected: describe((schema?.properties as Record<string, TSchema> | undefined)?.[name]),
      got: 'nothing',
    }));
  }
  if (keyword === 'additionalProperties') {
    // Cut before near names are looked for, which costs more than all the rest of a fault.
    return (params.additionalProperties as string[]).slice(0, FAULTS_MAX).map((name) => {
      const suggestions = nearNames(name, fields);
      return {
        pointer: `${instancePath}/${escapePart(name.slice(0, 200))}`,
        message: `The field ${JSON.stringify(name.slice(0, 200))} is not known here`,
        expected: fields.length > 0 ? `only ${fields.join(', ')}` : 'no fields',
        got: name.slice(0, 200),
        ...(suggestions.length > 0 ? { suggestions } : {}),
      };
    });
  }
  return [{ pointer: instancePath, message: 'The value does not fit', expected: describe(schema), got: shown(at) }];
}

function valueAt(value: unknown, pointer: string): unknown {
  let at = value;
  for (const part of pointer.split('/').slice(1)) at = (at as Loose | undefined)?.[unescapePart(part)];
  return at;
}

function schemaAt(root: TSchema, path: string): (TSchema & Loose) | undefined {
  let at: unknown = root;
  for (const part of path.replace(/^#\/?/, '').split('/').filter(Boolean))
    at = (at as Loose | undefined)?.[unescapePart(part)];
  return at as (TSchema & Loose) | undefined;
}

/** What a schema asks for, in words. */
export function describe(schema: (TSchema & Loose) | TSchema | undefined): string {
  const s = schema as Loose | undefined;
  if (!s) return 'a value';
  const choices = (s.anyOf ?? s.oneOf) as TSchema[] | undefined;
  if (choices) return choices.map(describe).join(' or ');
  if (s.const !== undefined) return JSON.stringify(s.const);
  if (Array.isArray(s.enum)) return `one of ${s.enum.map((item) => JSON.stringify(item)).join(', ')}`;
  const range = (low: unknown, high: unknown, unit: string) => {
    if (high === undefined) return low === undefined ? '' : ` of ${low} or more ${unit}`;
    return ` of ${low ?? 0} to ${high} ${unit}`;
  };
  switch (s.type) {
    case 'string':
      return `a string${range(s.minLength, s.maxLength, 'characters')}`;
    case 'array':
      return `an array${range(s.minItems, s.maxItems, 'items')}`;
    case 'object': {
      const fields = Object.keys((s.properties as Loose | undefined) ?? {});
      return fields.length > 0 ? `an object with ${fields.join(', ')}` : 'an object';
    }
    case 'integer':
    case 'number': {
      const noun = s.type === 'integer' ? 'a whole number' : 'a number';
      const above = s.exclusiveMinimum === undefined ? '' : ` above ${s.exclusiveMinimum}`;
      const low = s.minimum === undefined ? above : ` from ${s.minimum}`;
      const to = s.minimum === undefined ? ', at most' : ' to';
      return `${noun}${low}${s.maximum === undefined ? '' : `${to} ${s.maximum}`}`;
    }
    case 'boolean':
      return 'true or false';
    case 'null':
      return 'null';
    default:
      return 'a value';
  }
}

/** What came, short enough to send back. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object')
    return `an object with ${Object.keys(value).slice(0, 5).join(', ') || 'no fields'}`.slice(0, 200);
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
