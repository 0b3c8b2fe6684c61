/** One call of each operation of the document, with the examples as bodies. */

// biome-ignore lint/suspicious/noExplicitAny: the plan reads single members of an OpenAPI document.
type Json = any;

export interface Step {
  operation: string;
  /** The name of the operation in Python. */
  function: string;
  method: string;
  /** The path with its parameters in braces. */
  template: string;
  /** The path parameters. */
  path: Record<string, string>;
  url: string;
  body?: unknown;
  /** The names of the schemas of JSON responses, by HTTP status. */
  models: Record<string, string>;
  isText: boolean;
}

/** `valuesOf` gives the path parameters of an operation. */
export function planOf(document: Json, valuesOf: (template: string) => Record<string, string>): Step[] {
  const steps = Object.entries<Json>(document.paths).flatMap(([template, methods]) =>
    Object.entries<Json>(methods)
      .filter(([, operation]) => hasJsonBody(operation) && !hasOwnClients(operation))
      .map(([method, operation]) => stepOf({ template, method, operation, values: valuesOf(template) })),
  );
  // The model returns to service at once, and deletions come last: other calls use the resources.
  const late = ['unloadModel', 'loadModel'];
  const rank = ({ method, operation }: Step): number => {
    if (operation === 'setAlias') return -1;
    return method === 'DELETE' ? late.length + 1 : late.indexOf(operation) + 1;
  };
  return steps.sort((a, b) => rank(a) - rank(b));
}

/** False for an upload: each generator has its own form of bytes. tests/files sends uploads. */
const hasJsonBody = ({ requestBody }: Json): boolean =>
  requestBody === undefined || 'application/json' in requestBody.content;

/** Other protocols have clients of their own, and need a model with embeddings: tests/client/openai.test.ts calls these operations. */
const hasOwnClients = ({ tags }: Json): boolean =>
  tags.includes('OpenAI API') || tags.includes('text-embeddings-inference API');

interface Described {
  template: string;
  method: string;
  operation: Json;
  values: Record<string, string>;
}

function stepOf({ template, method, operation, values }: Described): Step {
  const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const path = Object.fromEntries(names.map((name) => [name, values[name] ?? '']));
  const examples = Object.values<Json>(operation.requestBody?.content['application/json']?.examples ?? {});
  const responses = Object.entries<Json>(operation.responses);
  const models = responses.flatMap(([status, response]) => {
    const name = response.content?.['application/json']?.schema.$ref?.split('/').at(-1);
    return name === undefined ? [] : [[status, name]];
  });
  return {
    operation: operation.operationId,
    function: operation.operationId.replaceAll(/[A-Z]/g, (letter: string) => `_${letter.toLowerCase()}`),
    method: method.toUpperCase(),
    template,
    path,
    url: template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(path[name] ?? '')),
    ...(examples.length > 0 ? { body: examples[0].value } : {}),
    models: Object.fromEntries(models),
    isText: responses.some(([status, { content = {} }]) => status === '200' && !('application/json' in content)),
  };
}

/** A program that makes each call with openapi-fetch, and prints one JSON line for each. The compiler checks the calls. */
export function programOf(steps: readonly Step[]): string {
  const calls = steps.map(({ operation, method, template, path, body, isText }) => {
    const options = [
      ...(Object.keys(path).length > 0 ? [`params: { path: ${JSON.stringify(path)} }`] : []),
      ...(body === undefined ? [] : [`body: ${JSON.stringify(body)}`]),
      ...(isText ? [`parseAs: 'text'`] : []),
    ];
    return `await call('${operation}', client.${method}('${template}', { ${options.join(', ')} }));`;
  });
  return `import createClient from 'openapi-fetch';
import type { components, paths } from './openapi.ts';

const client = createClient<paths>({ baseUrl: process.argv[2] ?? '' });

async function call(operation: string, made: Promise<{ response: Response; data?: unknown; error?: unknown }>) {
  const { response, data, error } = await made;
  const { status, code } = (data ?? error ?? {}) as { status?: unknown; code?: unknown };
  console.log(JSON.stringify({ operation, status: response.status, values: { status, code } }));
}

${calls.join('\n')}

// The types of the document name what a program reads.
const { data, error } = await client.GET('/v1/predictions', { params: { query: { limit: 1, status: 'succeeded' } } });
const first: components['schemas']['ListedPrediction'] | undefined = data?.data[0];
const words: (string | undefined)[] = [first?.status, first?.error?.code, error?.code];
const times: (number | null | undefined)[] = [first?.metrics.run_ms, first?.attempt];
if (words.length + times.length !== 5) throw new Error('never');
`;
}
