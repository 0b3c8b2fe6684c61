/**
 * Reads the settings of a model in Triton's repository (config.pbtxt, protobuf's text format) that decide what a version is: the
 * name of the model file, and the files of labels. All other settings of Triton are ignored.
 */
import { readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';

export const TRITON_CONFIG = 'config.pbtxt';
const CONFIG_BYTES_MAX = 1_048_576;
const LABELS_MAX = 100_000;
/** Triton's messages are nested five deep. */
const DEPTH_MAX = 50;

export interface TritonConfig {
  /** The name of the model file in the folder of a version. */
  modelFile: string;
  /** Output name → absolute path of the file with its labels. */
  labelPaths: Readonly<Record<string, string>>;
}

export const NO_TRITON_CONFIG: TritonConfig = { modelFile: 'model.onnx', labelPaths: {} };

/** A config.pbtxt that cannot be used. The message completes the sentence `config.pbtxt is ignored: ...`. */
export class TritonConfigError extends Error {
  override name = 'TritonConfigError';
}

/** Reads the config.pbtxt of a model's folder, if there is one. Throws TritonConfigError. */
export async function readTritonConfig(folder: string): Promise<TritonConfig> {
  const text = await readFile(join(folder, TRITON_CONFIG), 'utf8').catch(() => undefined);
  if (text === undefined) return NO_TRITON_CONFIG;
  if (text.length > CONFIG_BYTES_MAX) throw new TritonConfigError(`the file has more than ${CONFIG_BYTES_MAX} bytes`);
  const fields = parseTextFormat(text);
  const labelPaths: Record<string, string> = {};
  for (const output of fields.flatMap(([name, value]) => (name === 'output' && Array.isArray(value) ? [value] : []))) {
    const [name, file] = [lastText(output, 'name'), lastText(output, 'label_filename')];
    if (name !== undefined && file !== undefined && file !== '')
      labelPaths[name] = join(folder, nameIn(file, 'label_filename'));
  }
  const modelFile = lastText(fields, 'default_model_filename');
  return {
    modelFile: modelFile ? nameIn(modelFile, 'default_model_filename') : NO_TRITON_CONFIG.modelFile,
    labelPaths,
  };
}

/** Reads the labels of an output: each line is a label. */
export async function readLabels(path: string): Promise<string[]> {
  const lines = (await readFile(path, 'utf8')).split(/\r?\n/);
  while (lines.at(-1) === '') lines.pop();
  return lines.slice(0, LABELS_MAX);
}

/** Returns a path that stays in its folder. */
function nameIn(path: string, field: string): string {
  const parts = path.split('/');
  if (path.includes('\0') || path.includes('\\') || parts.some((part) => part === '' || part === '.' || part === '..'))
    throw new TritonConfigError(`${field} ${JSON.stringify(path)} is not a path inside the folder of the model`);
  return parts.join(sep);
}

type Message = readonly (readonly [name: string, value: string | Message])[];

/** The last value of a field counts, as in protobuf. */
function lastText(message: Message, field: string): string | undefined {
  const value = message.findLast(([name]) => name === field)?.[1];
  return typeof value === 'string' ? value : undefined;
}

const TOKEN = /\s+|#[^\n]*|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[\w.+-]+(?:\/[\w.]+)*|[{}<>[\]:;,])/y;

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  const token = new RegExp(TOKEN);
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null)
      throw new TritonConfigError(`line ${text.slice(0, at).split('\n').length} is not protobuf's text format`);
    if (match[1] !== undefined) tokens.push(match[1]);
  }
  return tokens;
}

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '<': '>', '[': ']' };

/** Parses a message. Values of messages are nested, and the items of a list are repeated fields. */
function parseTextFormat(text: string): Message {
  const tokens = tokensOf(text);
  let at = 0;
  const fail = (): never => {
    throw new TritonConfigError(`${JSON.stringify(tokens[at] ?? 'the end of the file')} is not expected there`);
  };
  const accept = (token: string): boolean => tokens[at] === token && ++at > 0;
  const message = (end: string | undefined, depth: number): Message => {
    if (depth > DEPTH_MAX) throw new TritonConfigError(`more than ${DEPTH_MAX} nested messages`);
    const fields: [string, string | Message][] = [];
    while (tokens[at] !== end) {
      const name = tokens[at] ?? fail();
      // An extension has its name in brackets.
      if (!/^\w/.test(name)) fail();
      at += 1;
      const hasColon = accept(':');
      if (tokens[at] === '[') {
        at += 1;
        while (!accept(']')) {
          fields.push([name, value(depth)]);
          accept(',');
        }
      } else if (hasColon || tokens[at] === '{' || tokens[at] === '<') fields.push([name, value(depth)]);
      else fail();
      if (!accept(',')) accept(';');
    }
    return fields;
  };
  const value = (depth: number): string | Message => {
    const token = tokens[at] ?? fail();
    const end = CLOSING[token];
    if (end !== undefined && end !== ']') {
      at += 1;
      const inner = message(end, depth + 1);
      at += 1;
      return inner;
    }
    if (!/^["'\w.+-]/.test(token)) fail();
    let text = '';
    // Adjacent texts in quotes are one text.
    if (/^["']/.test(token)) while (/^["']/.test(tokens[at] ?? '')) text += unquote(tokens[at++]!);
    else text = tokens[at++]!;
    return text;
  };
  return message(undefined, 0);
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

const unquote = (quoted: string): string =>
  quoted.slice(1, -1).replace(/\\(.)/g, (_, character: string) => ESCAPES[character] ?? character);
