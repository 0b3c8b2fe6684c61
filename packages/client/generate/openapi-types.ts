/** Writes the types of an OpenAPI document. The client has the types of the document that this repository's API publishes. */
import openapiTS, { astToString, type OpenAPI3 } from 'openapi-typescript';
import ts from 'typescript';

const HEAD = `/**
 * The types of the OpenAPI document. A program wrote this file: \`npm test -- tests/client/openapi-types.test.ts -u\` writes the file
 * again after a change of the API.
 */

`;

/** Returns the text of a module with the types of `document`. */
export async function openApiTypes(document: OpenAPI3): Promise<string> {
  const nodes = await openapiTS(document, {
    alphabetize: true,
    // The API ignores headers that a document does not name, and a client reads members that it does not know.
    additionalProperties: false,
    // A member of a request with a default may be absent.
    defaultNonNullable: false,
    transform: (schema) => extensible(schema) ?? mapOf(schema),
  });
  return HEAD + astToString(nodes);
}

/** The type of an enum to which later versions add values: the known values for completion, and any other text. */
function extensible(schema: object): ts.TypeNode | undefined {
  const values = 'x-extensible-enum' in schema ? schema['x-extensible-enum'] : undefined;
  if (!Array.isArray(values)) return undefined;
  const { factory } = ts;
  const known = values.map((value) => factory.createLiteralTypeNode(factory.createStringLiteral(String(value))));
  const other = factory.createIntersectionTypeNode([
    factory.createKeywordTypeNode(ts.SyntaxKind.StringKeyword),
    factory.createTypeLiteralNode([]),
  ]);
  return factory.createUnionTypeNode([...known, factory.createParenthesizedType(other)]);
}

/** The type of a map. The API writes a map as an object whose members all match one pattern. */
function mapOf(schema: object): ts.TypeNode | undefined {
  const patterns = 'patternProperties' in schema ? schema.patternProperties : undefined;
  if (typeof patterns !== 'object' || patterns === null || 'properties' in schema) return undefined;
  const [value, ...others] = Object.values(patterns);
  if (others.length > 0) return undefined;
  const { factory } = ts;
  const isText = typeof value === 'object' && value !== null && 'type' in value && value.type === 'string';
  const type = factory.createKeywordTypeNode(isText ? ts.SyntaxKind.StringKeyword : ts.SyntaxKind.UnknownKeyword);
  const key = factory.createKeywordTypeNode(ts.SyntaxKind.StringKeyword);
  return factory.createTypeReferenceNode('Record', [key, type]);
}
