/** Renders the OpenAPI document as one page, without scripts and without external files. */
import { ERRORS, type ErrorCode } from '@millrace/shared/error-table';

// biome-ignore lint/suspicious/noExplicitAny: an OpenAPI document has no type here.
type Json = any;

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #0a6ebd; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem 1.5rem 4rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
code, pre { font: 14px/1.45 ui-monospace, monospace; } code { overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .75rem 1rem; overflow-x: auto; border-radius: 6px; margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
td, th { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
details { border: 1px solid var(--line); border-radius: 8px; margin: .6rem 0; padding: .5rem 1rem; }
summary { cursor: pointer; } summary b { display: inline-block; min-width: 5rem; color: var(--accent); }
summary span { opacity: .75; margin-left: .75rem; }
h4 { margin: 1rem 0 .2rem; } nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; } a { color: var(--accent); }`;

const escapeHtml = (text: unknown): string =>
  String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** Renders Markdown's backticks, the only markup of the descriptions. */
const prose = (text: unknown): string => escapeHtml(text ?? '').replaceAll(/`([^`]+)`/g, '<code>$1</code>');

export function documentPage(document: Json, hasConsole: boolean): string {
  const operations = Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const sections = document.tags.map(({ name }: Json) => {
    const own = operations.filter(({ operation }) => operation.tags[0] === name);
    const shared = document.components.responses;
    return `<h2 id="${name}">${name}</h2>${own.map((described) => section(described, shared)).join('')}`;
  });
  const links = [...document.tags.map(({ name }: Json) => name), 'Schemas', 'Errors'];
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Millrace API</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style></head><body>
<h1>Millrace API</h1><p>${prose(document.info.description)}</p>
${hasConsole ? '<p><a href="console">Console</a>: run models and watch predictions, workers and webhooks in the browser.</p>' : ''}
<nav>${links.map((name) => `<a href="#${name}">${name}</a>`).join('')}<a href="/openapi.json">openapi.json</a></nav>
${sections.join('\n')}
<h2 id="Schemas">Schemas</h2>${Object.entries<Json>(document.components.schemas).map(component).join('')}
<h2 id="Errors">Errors</h2>${errorTable()}
</body></html>`;
}

interface Problems {
  codes: readonly ErrorCode[];
  /** The shared responses of the document, by name. */
  shared: Json;
}

function section({ path, method, operation }: { path: string; method: string; operation: Json }, shared: Json): string {
  const { summary, description, parameters = [], requestBody, responses } = operation;
  const problems: Problems = { codes: operation['x-error-codes'] ?? [], shared };
  const rows = Object.entries<Json>(responses).map((response) => responseRow(response, problems));
  const body = requestBody?.content['application/json'];
  const examples = Object.values<Json>(body?.examples ?? {});
  return `<details id="${operation.operationId}"><summary><b>${method}</b><code>${escapeHtml(path)}</code>
<span>${prose(summary)}</span></summary>
${description ? `<p>${prose(description)}</p>` : ''}
${parameters.length > 0 ? `<h4>Parameters</h4><table>${parameters.map(parameterRow).join('')}</table>` : ''}
${body ? `<h4>Body</h4>${examples.map(({ value }) => pre(value)).join('')}${fields(body.schema)}` : ''}
<h4>Responses</h4><table>${rows.join('')}</table></details>`;
}

const parameterRow = ({ name, in: place, required, description, schema, example }: Json): string =>
  `<tr><td><code>${escapeHtml(name)}</code></td><td>${place}${required ? ', required' : ''}</td>
<td>${prose(description)} ${typeOf(schema)}${example ? ` <code>${escapeHtml(example)}</code>` : ''}</td></tr>`;

function responseRow([status, response]: [string, Json], { codes, shared }: Problems): string {
  const { description, headers = {}, content = {} } = shared[response.$ref?.split('/').at(-1)] ?? response;
  const own = codes.filter((code) => response.$ref && String(ERRORS[code].status) === status);
  const about = own.length > 0 ? own.map((code) => `\`${code}\`: ${ERRORS[code].title}.`).join(' ') : description;
  const bodies = Object.entries<Json>(content).map(([type, { schema }]) => {
    const name = schema?.$ref?.split('/').at(-1);
    return name ? `<a href="#schema-${name}">${name}</a>` : `<code>${type}</code>`;
  });
  const names = Object.keys(headers).map((name) => `<code>${name}</code>`);
  return `<tr><td>${status}</td><td>${prose(about)}</td><td>${bodies.join(', ')}</td><td>${names.join(' ')}</td></tr>`;
}

function component([name, schema]: [string, Json]): string {
  return `<details id="schema-${name}"><summary><code>${name}</code> <span>${prose(schema.description)}</span></summary>
${fields(schema)}</details>`;
}

function fields(schema: Json): string {
  const required = new Set<string>(schema.required ?? []);
  const rows = Object.entries<Json>(schema.properties ?? {}).map(
    ([name, field]) =>
      `<tr><td><code>${escapeHtml(name)}</code></td><td>${typeOf(field)}${required.has(name) ? ', required' : ''}</td>
<td>${prose(field.description)}</td></tr>`,
  );
  return rows.length > 0 ? `<table>${rows.join('')}</table>` : '';
}

function typeOf(schema: Json): string {
  if (schema.$ref) return `<a href="#schema-${schema.$ref.split('/').at(-1)}">${schema.$ref.split('/').at(-1)}</a>`;
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(typeOf).join(' or ');
  if (schema.const !== undefined) return `<code>${escapeHtml(JSON.stringify(schema.const))}</code>`;
  const values = schema.enum ?? schema['x-extensible-enum'];
  if (values) return values.map((item: unknown) => `<code>${escapeHtml(item)}</code>`).join(' or ');
  if (schema.type === 'array') return `array of ${typeOf(schema.items ?? {})}`;
  const low = schema.minimum ?? schema.minLength;
  const high = schema.maximum ?? schema.maxLength;
  const range = high === undefined ? '' : ` (${low ?? 0} to ${high})`;
  return `${schema.type ?? 'anything'}${range}`;
}

const pre = (value: unknown): string => `<pre>${escapeHtml(JSON.stringify(value, null, 2))}</pre>`;

function errorTable(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, title, about, retryable }]) =>
      `<tr><td><code>${code}</code></td><td>${status}</td><td>${prose(title)}. ${prose(about)}</td>
<td>${retryable ? 'may succeed later' : ''}</td></tr>`,
  );
  return `<table>${rows.join('')}</table>`;
}
