/** Checks values against TypeBox schemas. Each fault states its place, the expected form and the received value. */
import { ApiError, type Fault } from '@millrace/shared/errors';
import { escapePart, unescapePart } from '@millrace/shared/text/json-pointer';
import { nearNames } from '@millrace/shared/text/near-names';
import type { TSchema } from 'typebox';
import type { TLocalizedValidationError } from 'typebox/error';
// `typebox/compile` has the same check, and loads 140 modules more: 3 MiB of conversions that nothing here uses.
import { Compile } from 'typebox/schema';
import { Settings } from 'typebox/system';
import { isOptionalBody } from './action-body.ts';

/** The most faults that one response names. */
const FAULTS_MAX = 20;
// TypeBox's default is eight errors. A single union of seven literals yields eight errors, and would hide every later fault.
Settings.Set({ maxErrors: 200 });

type SchemaError = TLocalizedValidationError;

type JsonObject = Readonly<Record<string, unknown>>;

/** Returns a function that throws an ApiError with all faults of a value. Pointers are relative to the value. */
export function checkerOf(schema: TSchema): (value: unknown) => void {
  const validator = Compile(schema);
  return (value) => {
    if (!validator.Check(value)) throw invalidRequest(faultsOf(schema, value, validator.Errors(value)[1]));
  };
}

/** Bodies that were parsed from the same text before; see cache/parsed-requests.ts. */
export interface ParsedBodies {
  /** The parsed body of a text. */
  bodyOf(text: string): unknown;
  /** Whether the body passed this schema before. */
  met(schema: unknown, body: unknown): boolean;
}

/** A part of a request, by Fastify's name: 'body', 'params', 'querystring' or 'headers'. */
type RequestPart = string;
const PLACES: Readonly<Record<string, Fault['in']>> = { params: 'path', querystring: 'query', headers: 'header' };

type Validator = (value: unknown) => { value: unknown } | { error: Error };

/** Compiles the check of one part of a request. A body is checked as sent; a parameter is converted from text first. */
export function compileValidator(schema: TSchema, part: RequestPart, parsed: ParsedBodies): Validator {
  const compiled = Compile(schema);
  const isBody = part === 'body';
  const canBeAbsent = isBody && isOptionalBody(schema);
  return (given) => {
    if (canBeAbsent && (given === null || given === undefined)) return { value: given };
    if (isBody && parsed.met(schema, given)) return { value: given };
    // A value that already fits needs no conversion, which walks the whole schema.
    if (given !== undefined && compiled.Check(given)) return { value: given };
    const value = isBody ? given : convertParameters(schema, given ?? {});
    if (compiled.Check(value)) return { value };
    const faults = faultsOf(schema, value, compiled.Errors(value)[1]);
    // A fault of a parameter has the parameter's name; only a body has pointers.
    const place = PLACES[part];
    if (place)
      for (const fault of faults) Object.assign(fault, { in: place, pointer: fault.pointer.replace(/^\//, '') });
    else if (given === null && faults[0]) faults[0].got = 'null, or no body';
    return { error: invalidRequest(faults) };
  };
}

const NUMBER = { integer: /^-?\d{1,15}$/, number: /^-?\d{1,15}(?:\.\d{1,15})?$/ } as const;

/** Converts the texts of parameters to the numbers that the schema wants. No other text becomes a number: not `true`, not `1e2`. */
function convertParameters(schema: TSchema, given: unknown): unknown {
  if (!isObject(given)) return given;
  const properties = member(schema, 'properties');
  const converted = Object.entries(given).map(([name, value]) => {
    const type = member(member(properties, name), 'type');
    if (typeof value !== 'string' || (type !== 'integer' && type !== 'number')) return [name, value];
    return [name, NUMBER[type].test(value) ? cut(Number(value), member(properties, name)) : value];
  });
  return Object.fromEntries(converted);
}

/** Cuts a number that is larger than `x-cut-at` of its schema, so that a client may always request the most. */
function cut(value: number, schema: unknown): number {
  const most = member(schema, 'x-cut-at');
  return typeof most === 'number' ? Math.min(value, most) : value;
}

function invalidRequest(faults: readonly Fault[]): ApiError {
  return new ApiError('invalid_request', summary(faults), { faults });
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
  // The faults inside the branches of a union are reported once, as a fault of the union.
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf').map(({ schemaPath }) => `${schemaPath}/anyOf/`);
  const faults = new Map<string, Fault>();
  const reported = errors.filter(({ keyword }) => keyword !== 'boolean');
  // The validator reports each unknown member as one error. The error with all unknown members comes too late to be kept.
  for (const error of reported.length > 0 ? reported : errors.slice(0, FAULTS_MAX).map(unknownMember)) {
    if (faults.size >= FAULTS_MAX) break;
    if (unions.some((path) => error.schemaPath.startsWith(path))) continue;
    for (const fault of faultsOfError(schema, value, error)) {
      if (faults.size < FAULTS_MAX && !faults.has(fault.pointer)) faults.set(fault.pointer, fault);
    }
  }
  return [...faults.values()];
}

/** Converts the error of one unknown member to the form of the error that names all unknown members. */
function unknownMember({ schemaPath, instancePath, message }: SchemaError): SchemaError {
  const at = instancePath.lastIndexOf('/');
  return {
    message,
    keyword: 'additionalProperties',
    schemaPath: schemaPath.replace(/\/additionalProperties$/, ''),
    instancePath: instancePath.slice(0, at),
    params: { additionalProperties: [unescapePart(instancePath.slice(at + 1))] },
  };
}

function faultsOfError(root: TSchema, value: unknown, error: SchemaError): Fault[] {
  const { instancePath } = error;
  const schema = valueAt(root, error.schemaPath.replace(/^#/, ''));
  const properties = member(schema, 'properties');
  if (error.keyword === 'required') {
    return error.params.requiredProperties.slice(0, FAULTS_MAX).map((name) => ({
      pointer: `${instancePath}/${escapePart(name)}`,
      message: `The field ${name} is missing`,
      expected: describe(member(properties, name)),
      got: 'nothing',
    }));
  }
  if (error.keyword === 'additionalProperties') {
    const fields = Object.keys(isObject(properties) ? properties : {});
    // The list is cut before the search for near names, which costs more than the rest of a fault.
    return error.params.additionalProperties.slice(0, FAULTS_MAX).map((name) => {
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
  const got = shown(valueAt(value, instancePath));
  return [{ pointer: instancePath, message: 'The value does not fit', expected: describe(schema), got }];
}

const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null;
/** The member of a value that can be any JSON; undefined where the value has no such member. */
export const member = (value: unknown, name: string): unknown => (isObject(value) ? value[name] : undefined);

/** The value at a JSON pointer; undefined where the pointer leads nowhere. */
function valueAt(root: unknown, pointer: string): unknown {
  return pointer.split('/').slice(1).map(unescapePart).reduce(member, root);
}

/** Describes in words the values that fit a schema. */
export function describe(schema: unknown): string {
  if (!isObject(schema)) return 'a value';
  const choices = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choices)) return choices.map(describe).join(' or ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return `one of ${schema.enum.map((item) => JSON.stringify(item)).join(', ')}`;
  switch (schema.type) {
    case 'string':
      return `a string${describeSize(schema.minLength, schema.maxLength, 'characters')}`;
    case 'array':
      return `an array${describeSize(schema.minItems, schema.maxItems, 'items')}`;
    case 'object': {
      const fields = Object.keys(isObject(schema.properties) ? schema.properties : {});
      return fields.length > 0 ? `an object with ${fields.join(', ')}` : 'an object';
    }
    case 'integer':
    case 'number':
      return describeNumber(schema);
    case 'boolean':
      return 'true or false';
    case 'null':
      return 'null';
    default:
      return 'a value';
  }
}

function describeSize(low: unknown, high: unknown, unit: string): string {
  if (high === undefined) return low === undefined ? '' : ` of ${low} or more ${unit}`;
  return ` of ${low ?? 0} to ${high} ${unit}`;
}

function describeNumber({ type, exclusiveMinimum, minimum, maximum }: JsonObject): string {
  const noun = type === 'integer' ? 'a whole number' : 'a number';
  const above = exclusiveMinimum === undefined ? '' : ` above ${exclusiveMinimum}`;
  const low = minimum === undefined ? above : ` from ${minimum}`;
  const to = minimum === undefined ? ', at most' : ' to';
  return `${noun}${low}${maximum === undefined ? '' : `${to} ${maximum}`}`;
}

/** Describes a received value, short enough for a response. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object')
    return `an object with ${Object.keys(value).slice(0, 5).join(', ') || 'no fields'}`.slice(0, 200);
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
