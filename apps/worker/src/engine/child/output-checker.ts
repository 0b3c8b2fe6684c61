/** Compares the outputs of a handler with its `output` schema, and writes the outputs as JSON text. */
import type { TSchema } from 'typebox';
// `typebox/compile` has the same check, and loads 140 modules more: 3 MiB of conversions that nothing here uses.
import { Compile } from 'typebox/schema';

const SHOWN_MAX = 100;

export class OutputChecker {
  readonly #schema: ReturnType<typeof Compile<TSchema>> | undefined;

  /** The value in messages. */
  readonly #subject: string;

  /** `schema` is undefined for a model without a handler. */
  constructor(schema: TSchema | undefined, subject = 'the output') {
    this.#schema = schema === undefined ? undefined : Compile(schema);
    this.#subject = subject;
  }

  /** The JSON text of an output. Throws an error that names the place for an output that does not match the schema. */
  textOf(output: unknown): string {
    const schema = this.#schema;
    if (schema !== undefined && !schema.Check(output))
      throw new Error(`${this.#subject} ${faultOf(schema.Errors(output)[1], output)}`);
    // The schema can allow any value, and JSON.stringify would write null for NaN.
    if (!areFinite(output)) throw new Error(`${this.#subject} has NaN or an infinite number, which are not JSON`);
    const text = JSON.stringify(output) as string | undefined;
    if (text === undefined) throw new Error(`${this.#subject} is not JSON`);
    return text;
  }
}

function faultOf(errors: readonly { instancePath: string; message: string }[], output: unknown): string {
  const [{ instancePath, message }] = [...errors, { instancePath: '', message: 'another value was expected' }];
  const got = shown(instancePath.split('/').slice(1).reduce(memberOf, output));
  return `does not match its schema${instancePath && ` at ${instancePath}`}: ${message}, got ${got}`;
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[unescaped(name)] : undefined;

const unescaped = (name: string): string => name.replaceAll('~1', '/').replaceAll('~0', '~');

/** Whether all numbers are numbers of JSON. */
function areFinite(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(areFinite);
  for (const name in value) if (!areFinite((value as Record<string, unknown>)[name])) return false;
  return true;
}

function shown(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return (JSON.stringify(value) ?? 'nothing').slice(0, SHOWN_MAX);
}
