/** The request of the form as code: curl, TypeScript and Python. */
import { useState } from 'preact/hooks';
import { base } from '../../core/address.ts';
import { codeBlock } from '../../ui/code.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { headersOf, pathOf, type RunOptions } from './run.ts';

interface SampleProps {
  model: string;
  options: RunOptions;
  input: unknown;
}

const LANGUAGES = [
  ['curl', 'curl'],
  ['ts', 'TypeScript'],
  ['py', 'Python'],
] as const;
type Language = (typeof LANGUAGES)[number][0];

/** A longer input is shown by its beginning: the copied code has the whole input. */
const KEY_NAME = 'MILLRACE_API_KEY';

function CodeSamples(props: SampleProps): Markup {
  const [language, setLanguage] = useState<Language>('curl');
  const name = LANGUAGES.find(([id]) => id === language)?.[1] ?? language;
  const text = { curl: curlOf, ts: typeScriptOf, py: pythonOf }[language](props);
  return html`<section class="sheet" aria-label="The same request as code">
    <div class="code-head"><h2>The same request as code</h2>
      <div class="segments push" role="group" aria-label="Language">${LANGUAGES.map(
        ([id, word]) =>
          html`<button type="button" aria-pressed=${String(id === language)} onClick=${() => setLanguage(id)}>${word}</button>`,
      )}</div></div>
    ${codeBlock({ text, label: `Request in ${name}`, marks: colored(text) })}
  </section>`;
}

export const codeSamples = (props: SampleProps): Markup => h(CodeSamples, props);

const urlOf = ({ model, options }: SampleProps): string => `${location.origin}${base}${pathOf(model, options)}`;
const bodyOf = ({ input, options }: SampleProps) => ({
  input,
  ...(options.priority === '' ? {} : { priority: options.priority }),
});

function curlOf(props: SampleProps): string {
  const headers = Object.entries(headersOf(props.options)).map(([name, value]) => ` -H '${name}: ${value}'`);
  const body = JSON.stringify(bodyOf(props)).replaceAll("'", "'\\''");
  return `curl -s ${urlOf(props)} \\
  -H "authorization: Bearer $${KEY_NAME}" \\
  -H 'content-type: application/json'${headers.join('')} \\
  -d '${body}'`;
}

function typeScriptOf({ model, options, input }: SampleProps): string {
  const settings = Object.entries({ version: options.version, priority: options.priority }).filter(
    ([, value]) => value !== '',
  );
  const last = settings.length === 0 ? '' : `, ${literal(Object.fromEntries(settings))}`;
  return `import { Millrace } from '@millrace/client';

const millrace = new Millrace({ baseUrl: '${location.origin}${base}', apiKey: process.env.${KEY_NAME} });
const output = await millrace.run('${model}', ${literal(input)}${last});`;
}

/** JSON with the names of members and texts as TypeScript writes them. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(
      ([name, member]) => `${/^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name)}: ${literal(member)}`,
    );
    return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
  }
  return typeof value === 'string' ? quoted(value) : JSON.stringify(value);
}

const quoted = (text: string): string =>
  `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;

function pythonOf(props: SampleProps): string {
  const headers = Object.entries(headersOf(props.options)).map(([name, value]) => `, "${name}": "${value}"`);
  return `import os
import requests

response = requests.post(
    "${urlOf(props)}",
    headers={"authorization": f"Bearer {os.environ['${KEY_NAME}']}"${headers.join('')}},
    json=${pythonLiteral(bodyOf(props))},
)
response.raise_for_status()
output = response.json()["output"]`;
}

function pythonLiteral(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(', ')}]`;
  if (typeof value === 'object')
    return `{${Object.entries(value)
      .map(([name, member]) => `${JSON.stringify(name)}: ${pythonLiteral(member)}`)
      .join(', ')}}`;
  return JSON.stringify(value);
}

const TOKEN = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|(?<![\w$])\d[\d.]*\b/g;

function colored(text: string): Markup {
  const parts: Markup[] = [];
  let end = 0;
  for (const found of text.matchAll(TOKEN)) {
    const [whole] = found;
    parts.push(text.slice(end, found.index), html`<span class=${/^\d/.test(whole) ? 'n' : 's'}>${whole}</span>`);
    end = found.index + whole.length;
  }
  return [...parts, text.slice(end)];
}
