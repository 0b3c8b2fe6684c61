/** Writes a JSON Schema as a TypeScript type. A part that TypeScript cannot express, such as a pattern, becomes the wider type. */

interface Schema {
  type?: string | readonly string[];
  enum?: readonly unknown[];
  const?: unknown;
  anyOf?: readonly unknown[];
  oneOf?: readonly unknown[];
  allOf?: readonly unknown[];
  items?: unknown;
  prefixItems?: readonly unknown[];
  properties?: Readonly<Record<string, unknown>>;
  required?: readonly string[];
  additionalProperties?: unknown;
}

/** A deeper schema becomes `unknown`: a type of this depth helps nobody, and a schema of a user could be endless. */
const DEPTH_MAX = 32;

export function schemaType(schema: unknown, depth = 0): string {
  if (depth > DEPTH_MAX || typeof schema !== 'object' || schema === null) return schema === false ? 'never' : 'unknown';
  const parts: Schema = schema;
  const inner = (part: unknown) => schemaType(part, depth + 1);
  if ('const' in parts) return literal(parts.const);
  if (parts.enum) return union(parts.enum.map(literal));
  const choices = parts.anyOf ?? parts.oneOf;
  if (choices) return union(choices.map(inner));
  if (parts.allOf) return parts.allOf.map((part) => `(${inner(part)})`).join(' & ') || 'unknown';
  const types = typeof parts.type === 'string' ? [parts.type] : (parts.type ?? []);
  return types.length === 0 ? 'unknown' : union(types.map((type) => typeOf(type, parts, inner)));
}

const literal = (value: unknown): string =>
  value !== null && typeof value === 'object' ? 'unknown' : (JSON.stringify(value) ?? 'unknown');

const union = (types: readonly string[]): string => {
  const distinct = [...new Set(types)];
  return distinct.includes('unknown') ? 'unknown' : distinct.join(' | ') || 'never';
};

function typeOf(type: string, schema: Schema, inner: (part: unknown) => string): string {
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    case 'number':
    case 'integer':
      return 'number';
    case 'array':
      return arrayType(schema, inner);
    case 'object':
      return objectType(schema, inner);
    default:
      return 'unknown';
  }
}

function arrayType({ items, prefixItems }: Schema, inner: (part: unknown) => string): string {
  if (prefixItems) return `[${prefixItems.map(inner).join(', ')}]`;
  // TypeBox writes a tuple as a list of schemas.
  if (Array.isArray(items)) return `[${items.map(inner).join(', ')}]`;
  return items === undefined ? 'unknown[]' : `(${inner(items)})[]`;
}

function objectType(schema: Schema, inner: (part: unknown) => string): string {
  const { properties = {}, required = [], additionalProperties } = schema;
  const members = Object.entries(properties).map(
    ([name, part]) => `${JSON.stringify(name)}${required.includes(name) ? '' : '?'}: ${inner(part)}`,
  );
  if (members.length > 0) return `{ ${members.join('; ')} }`;
  if (additionalProperties === false) return 'Record<string, never>';
  return `Record<string, ${additionalProperties === undefined ? 'unknown' : inner(additionalProperties)}>`;
}
