/** The named parts of the OpenAPI document. A schema with an `$id` becomes a component, and a reference in its place. */

export type Json = Record<string, unknown>;

export class Components {
  readonly schemas: Record<string, Json> = {};

  /** Copies a schema with its parts. Throws when two different schemas have the same name. */
  refer(schema: unknown): unknown {
    if (Array.isArray(schema)) return schema.map((part) => this.refer(part));
    if (!isObject(schema)) return schema;
    const { $id: name, ...own } = schema;
    const copy = asEnum(Object.fromEntries(Object.entries(own).map(([key, part]) => [key, this.refer(part)])));
    if (typeof name !== 'string') return copy;
    const known = this.schemas[name];
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(copy))
      throw new Error(`Two different schemas have the $id '${name}'. Give one of them another $id.`);
    this.schemas[name] = copy;
    return { $ref: `#/components/schemas/${name}` };
  }
}

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Writes a union of texts as `enum`, and an `enum` of texts with its type: some generators of clients read a union of constants as its first constant. */
function asEnum(schema: Json): Json {
  const { anyOf, ...rest } = schema;
  if (Array.isArray(schema.enum) && schema.enum.every((value) => typeof value === 'string'))
    return { type: 'string', ...schema };
  if (!Array.isArray(anyOf) || !anyOf.every((part) => isObject(part) && typeof part.const === 'string')) return schema;
  return { type: 'string', enum: anyOf.map(({ const: value }) => value), ...rest };
}
